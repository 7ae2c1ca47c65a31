package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func (a *app) receiptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receipt",
		Short: "Fetch, renew or export receipts",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.receiptFetchCommand(), a.receiptExportCommand(), a.receiptProveCommand())
	return cmd
}

func (a *app) receiptFetchCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "fetch ID|RECEIPT…",
		Short: "Fetch receipts by statement id, or renew receipt files",
		Long: `fetch asks for the receipt under the newest checkpoint, with today's evidence. An ID is
written to ID.receipt.json (or to -o NAME); a receipt file is renewed in place. The
statement, its signature and its place in the audit trail never change.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.receiptFetch(cmd.Context(), out, args) },
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write `NAME`.receipt.json and NAME.evidence.json (one ID only)")
	cmd.Flags().StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` for the receipts of IDs")
	return cmd
}

func (a *app) receiptFetch(ctx context.Context, out string, args []string) error {
	if out != "" && len(args) != 1 {
		return fmt.Errorf("invalid -o: got %d receipts, want 1", len(args))
	}
	c, err := a.dialTrial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	results := make([]submitResult, 0, len(args))
	for _, arg := range args {
		id, name, err := a.receiptTarget(arg)
		if err != nil {
			return err
		}
		if out != "" {
			name = out
		}
		r, err := c.Receipt(ctx, c.trust, id)
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
		if err := r.WriteFiles(name); err != nil {
			return err
		}
		results = append(results, newSubmitResult("", name+client.ReceiptSuffix, r))
	}
	return a.printSubmitted(results)
}

// receiptTarget reads what an argument names: the statement, and where its
// receipt goes.
func (a *app) receiptTarget(arg string) (trial.ID, string, error) {
	if id, err := trial.ParseID(arg); err == nil {
		return id, filepath.Join(a.cfg.Receipts, arg), nil
	}
	name, ok := strings.CutSuffix(arg, client.ReceiptSuffix)
	if !ok {
		return trial.ID{}, "", fmt.Errorf("invalid receipt: got %q, want a statement id or a file NAME%s", arg, client.ReceiptSuffix)
	}
	r, _, err := client.ReadReceipt(arg)
	if err != nil {
		return trial.ID{}, "", err
	}
	return client.StatementID(r.Envelope), name, nil
}

func (a *app) receiptExportCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export --format tlog-proof RECEIPT",
		Short: "Export a receipt to another format",
		Long: `export writes a receipt in another format, to stdout or to -o FILE. tlog-proof is C2SP
tlog-proof@v1, for tools that check the audit trail and know nothing of trials.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.receiptExport(format, out, args[0]) },
	}
	cmd.Flags().StringVar(&format, "format", "tlog-proof", "`FORMAT`: tlog-proof")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to `FILE`")
	return cmd
}

func (a *app) receiptExport(format, out, path string) error {
	if format != "tlog-proof" {
		return fmt.Errorf("invalid --format: got %q, want tlog-proof", format)
	}
	r, _, err := client.ReadReceipt(path)
	if err != nil {
		return err
	}
	text := receipt.ExportTlogProof(r)
	if out == "" {
		return a.print(struct {
			Format string `json:"format"`
			Text   string `json:"text"`
		}{format, string(text)}, func(w io.Writer) { fmt.Fprintf(w, "%s", text) })
	}
	if err := client.WriteFile(out, text, 0o644); err != nil {
		return err
	}
	return a.printWritten(out)
}

func (a *app) receiptProveCommand() *cobra.Command {
	var manifest, out string
	cmd := &cobra.Command{
		Use:   "prove --manifest M FILE",
		Short: "Make a proof for one file of a folder that was notarized as one",
		Long: `prove writes a proof file for FILE, a path inside the folder. With it and the folder's
receipt anyone verifies that one file, without seeing the names of the others:

  notary verify --receipt FOLDER.receipt.json --proof FILE.proof.json --trust DIR FILE`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.receiptProve(manifest, out, args[0]) },
	}
	cmd.Flags().StringVar(&manifest, "manifest", "", "the folder's manifest `FILE`")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to `FILE` (default: FILE.proof.json)")
	_ = cmd.MarkFlagRequired("manifest")
	return cmd
}

func (a *app) receiptProve(manifest, out, path string) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := trial.ParseManifest(text)
	if err != nil {
		return fmt.Errorf("reading the manifest %s: %w", manifest, err)
	}
	name := nameInside(path, m.Has, "")
	if name == "" {
		return fmt.Errorf("cannot prove %s: %s does not list it", path, manifest)
	}
	proof, err := m.ProveFile(name)
	if err != nil {
		return fmt.Errorf("cannot prove %s: %w", path, err)
	}
	if out == "" {
		out = path + ".proof.json"
	}
	if _, err := os.Lstat(out); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot write %s: it exists", out)
	}
	if err := client.WriteNew(out, proof, 0o644); err != nil {
		return err
	}
	return a.printWritten(out)
}

func (a *app) printWritten(path string) error {
	return a.print(struct {
		Written string `json:"written"`
	}{path}, func(w io.Writer) { fmt.Fprintf(w, "%s\n", path) })
}
