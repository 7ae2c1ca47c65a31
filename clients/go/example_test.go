package client_test

import (
	"context"
	"fmt"
	"os"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Example notarizes one file. README.md shows it.
func Example() {
	if err := notarize(context.Background(), "adsl.xpt"); err != nil {
		fmt.Println("not notarized")
	}
	// Output: not notarized
}

func notarize(ctx context.Context, path string) error {
	// What survives a crash: unanswered statements, the largest checkpoint.
	state, err := client.OpenState(os.TempDir() + "/notary-state")
	if err != nil {
		return err
	}
	c, err := client.Dial("notary.example:7443", client.Options{
		TokenFile: "site701.token", CAFile: "ca.crt", State: state, Tiles: "https://notary.example",
	})
	if err != nil {
		return err
	}
	defer c.Close()

	// Its fingerprint was compared with the sponsor by telephone.
	trust, err := client.ReadTrust("trust")
	if err != nil {
		return err
	}
	text, err := os.ReadFile("coordinator.key")
	if err != nil {
		return err
	}
	key, err := trial.ParsePrivateKeyPEM(text)
	if err != nil {
		return err
	}
	pub, err := trial.NewPublicKey(key.Public())
	if err != nil {
		return err
	}

	file, err := client.HashFile(ctx, path, nil)
	if err != nil {
		return err
	}
	d, err := client.NewDraft(trust, state, pub, "")
	if err != nil {
		return err
	}
	d.Subjects = []trial.Subject{file.Subject()}
	d.Predicate.Kind = trial.KindDataset
	d.Predicate.Site = "701"
	d.Predicate.Meaning = trial.MeaningAuthorship
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: "ADSL"}
	env, err := d.Sign(key, time.Now(), client.Zone())
	if err != nil {
		return err
	}

	// Stored, sent until answered, and verified offline before this returns.
	r, err := c.Submit(ctx, trust, env)
	if err != nil {
		return err
	}
	return r.WriteFiles(path)
}

// ExampleReadReceipt verifies a file with its receipt, without any notary.
func ExampleReadReceipt() {
	verify := func(path string) error {
		trust, err := client.ReadTrust("trust")
		if err != nil {
			return err
		}
		r, evidence, err := client.ReadReceipt(path + client.ReceiptSuffix)
		if err != nil {
			return err
		}
		file, err := client.HashAsIs(context.Background(), path, nil)
		if err != nil {
			return err
		}
		v := receipt.Verify(r, evidence, trust, []receipt.File{{Name: file.Name, SHA256: file.SHA256, Size: uint64(file.Size)}})
		fmt.Println(v.Verified, v.Summary)
		return nil
	}
	if err := verify("adsl.xpt"); err != nil {
		fmt.Println("cannot be read")
	}
	// Output: cannot be read
}
