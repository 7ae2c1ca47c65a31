package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// caCommand issues certificates of the notary's private CA. They are written
// beside the CA unless --out names another folder.
func caCommand(stdout io.Writer) *cobra.Command {
	var config, out string
	cmd := &cobra.Command{Use: "ca", Short: "issue certificates of the private CA"}
	server := &cobra.Command{
		Use:   "server NAME HOST…",
		Short: "issue a server certificate for host names and IP addresses",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return issue(config, out, args[0], stdout, func(ca *authority, dir string) error {
				return ca.issueServer(dir, args[0], args[1:], time.Now())
			})
		},
	}
	client := &cobra.Command{
		Use:   "client USER",
		Short: "issue a client certificate for a user made with `user add`",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return issue(config, out, args[0], stdout, func(ca *authority, dir string) error {
				return ca.issueClient(dir, args[0], time.Now())
			})
		},
	}
	cmd.PersistentFlags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	cmd.PersistentFlags().StringVar(&out, "out", "", "folder for NAME.crt and NAME.key (default: beside the CA)")
	cmd.AddCommand(server, client)
	return cmd
}

func issue(config, out, name string, stdout io.Writer, sign func(*authority, string) error) error {
	if err := checkUserName(name); err != nil {
		return usageError{err}
	}
	c, err := LoadConfig(config)
	if err != nil {
		return err
	}
	dir := filepath.Dir(c.TLS.ClientCA)
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	if out == "" {
		out = dir
	}
	if err := sign(ca, out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "wrote %s and %s\n", filepath.Join(out, name+".crt"), filepath.Join(out, name+".key"))
	return err
}
