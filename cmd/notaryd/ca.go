package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// caCommand shows the private CA and issues its certificates. They are written
// beside the CA unless --out names another folder.
func caCommand(stdout io.Writer) *cobra.Command {
	var config, out string
	cmd := &cobra.Command{Use: "ca", Short: "show the private CA and issue its certificates"}
	show := &cobra.Command{
		Use:   "show",
		Short: "print the CA's certificate, which clients need to trust the server",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := LoadConfig(config)
			if err != nil {
				return usageError{err}
			}
			text, err := os.ReadFile(c.TLS.ClientCA)
			if err != nil {
				return fmt.Errorf("reading the CA: %w", err)
			}
			_, err = stdout.Write(text)
			return err
		},
	}
	server := &cobra.Command{
		Use:   "server NAME HOST…",
		Short: "issue a server certificate for host names and IP addresses",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return issue(config, out, args[0], stdout, func(ca *authority) (issued, error) {
				return ca.issueServer(args[1:], time.Now())
			})
		},
	}
	client := &cobra.Command{
		Use:   "client USER",
		Short: "issue another client certificate for a user made with `user add --cert-out`",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return issue(config, out, args[0], stdout, func(ca *authority) (issued, error) {
				return ca.issueClient(args[0], time.Now())
			})
		},
	}
	cmd.PersistentFlags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	cmd.PersistentFlags().StringVar(&out, "out", "", "folder for NAME.crt and NAME.key, - for standard output (default: beside the CA)")
	cmd.AddCommand(show, server, client)
	return cmd
}

func issue(config, out, name string, stdout io.Writer, sign func(*authority) (issued, error)) error {
	if err := checkUserName(name); err != nil {
		return usageError{err}
	}
	c, err := LoadConfig(config)
	if err != nil {
		return usageError{err}
	}
	dir := filepath.Dir(c.TLS.ClientCA)
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	if out == "" {
		out = dir
	}
	cert, err := sign(ca)
	if err != nil {
		return err
	}
	return deliver(cert, out, name, stdout)
}

// deliver writes a certificate and its key into a folder, or to standard output
// where a container has no folder to copy from.
func deliver(cert issued, out, name string, stdout io.Writer) error {
	if out == "-" {
		_, err := fmt.Fprintf(stdout, "%s%s", cert.cert, cert.key)
		return err
	}
	if err := cert.write(out, name); err != nil {
		return err
	}
	_, err := fmt.Fprintf(stdout, "wrote %s and %s\n", filepath.Join(out, name+".crt"), filepath.Join(out, name+".key"))
	return err
}
