package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
)

// TestClientRefusesOtherCertificates dials a notary whose certificate another
// authority issued, and one of another name: the client says so at once and does
// not try again.
func TestClientRefusesOtherCertificates(t *testing.T) {
	s := trialForLoad(t)
	s.spawn(t)
	other := filepath.Join(filepath.Dir(newNotary(t)), "tls", "ca.crt")
	for name, o := range map[string]client.Options{
		"another authority": {CAFile: other},
		"another name":      {CAFile: s.path("tls/ca.crt"), ServerName: "other.example"},
	} {
		o.TokenFile = s.path("tokens/sponsor")
		c, err := client.Dial(s.config.Listen.GRPC, o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := c.FetchTrust(ctx, s.charter.String()); !errors.Is(err, client.ErrUntrusted) {
			t.Errorf("%s: got %v, want ErrUntrusted", name, err)
		}
		cancel()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
