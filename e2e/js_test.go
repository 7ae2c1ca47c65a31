package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
)

// jsVerifier is one running js/verify.mjs.
type jsVerifier struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func startJS(t *testing.T) *jsVerifier {
	t.Helper()
	cmd := command("js", "node", "verify.mjs")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting node (make e2etools installs what it needs): %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Errorf("node: %v", err)
		}
	})
	return &jsVerifier{in: in, out: bufio.NewScanner(out)}
}

func (v *jsVerifier) verify(dir, receipt, key, file string) error {
	job, err := json.Marshal(map[string]string{
		"receipt": receipt, "trustedRoot": filepath.Join(dir, "trust", "trusted_root.json"), "key": key, "file": file,
	})
	if err != nil {
		return err
	}
	if _, err := v.in.Write(append(job, '\n')); err != nil {
		return err
	}
	if !v.out.Scan() {
		return fmt.Errorf("node gave no answer: %w", v.out.Err())
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(v.out.Bytes(), &answer); err != nil {
		return fmt.Errorf("node answered %q: %w", v.out.Text(), err)
	}
	if !answer.OK {
		return errors.New(answer.Error)
	}
	return nil
}
