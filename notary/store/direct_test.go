package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// inBlocks is a length with what fills its last block.
func inBlocks(n int) int { return (n + directBlock - 1) / directBlock * directBlock }

// payloadsEnd is where the last payload ends; what follows fills its block.
func payloadsEnd(content []byte, of []*notary.Record) int {
	end := 0
	for _, r := range of {
		if at := bytes.Index(content, r.Envelope.Payload); at >= 0 {
			end = max(end, at+len(r.Envelope.Payload))
		}
	}
	return end
}

// TestAppender writes batches of all sorts of payloads, past the page cache and not,
// and also where that is refused only at the first write.
func TestAppender(t *testing.T) {
	for name, refuses := range map[string]bool{"as the file system can": false, "without": true} {
		path := filepath.Join(t.TempDir(), "payloads")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		var a appender
		if refuses {
			a.opened = true
		}
		end, want := int64(len(payloadsHeader)), bytes.Repeat([]byte{0}, len(payloadsHeader))
		for batch, lengths := range [][]int{
			{1}, {directBlock}, {20_000, 30_001}, {directBuffer - 1, 2, 512 << 10}, {directBuffer}, {directBuffer + 1}, {},
		} {
			began := a.begin(file, end)
			if began%directBlock != 0 || began < end || began >= end+directBlock {
				t.Fatalf("%s: got a begin at %d behind %d", name, began, end)
			}
			if len(lengths) > 0 {
				want = append(want, make([]byte, int(began)-len(want))...)
			}
			end = began
			for i, length := range lengths {
				payload := bytes.Repeat([]byte{byte(batch + 1), byte(i + 1)}, length/2+1)[:length]
				if err := a.add(file, payload); err != nil {
					t.Fatal(err)
				}
				want = append(want, payload...)
				end += int64(length)
			}
			if err := a.flush(file); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, make([]byte, inBlocks(len(want))-len(want))...)
		if got := readFile(t, path); !bytes.Equal(got, want) {
			t.Errorf("%s: got %d other bytes, want %d", name, len(got), len(want))
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
		if refuses == (a.direct != nil) && refuses {
			t.Error("it was written past the page cache all the same")
		}
	}
}

// TestAppenderFails: an error of the disk is told, and nothing is tried instead.
func TestAppenderFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payloads")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	var a appender
	a.begin(file, 0)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.add(file, []byte("payload")); err != nil {
		t.Fatal(err)
	}
	if err := a.flush(file); err == nil {
		t.Error("a write to a closed file succeeded")
	}
}

// TestAppenderGoesOnWithoutDirect: a file system may take the file and refuse a write,
// at once or in the middle of a batch, and a write may end inside a block.
func TestAppenderGoesOnWithoutDirect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payloads")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var a appender
	a.begin(file, 0)
	if a.direct == nil {
		t.Skip("no direct writes here")
	}
	want := bytes.Repeat([]byte("payload"), directBuffer/2)
	if err := a.add(file, want[:directBuffer]); err != nil {
		t.Fatal(err)
	}
	if a.direct == nil {
		t.Fatal("direct writes are refused here")
	}
	// From memory that is not at a block every write is refused.
	a.buf = append(make([]byte, directBuffer+directBlock)[1:1:directBuffer+1], a.buf...)
	if err := a.add(file, want[directBuffer:]); err != nil {
		t.Fatal(err)
	}
	if err := a.flush(file); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, path); !bytes.Equal(got[:len(want)], want) || len(got) != inBlocks(len(want)) {
		t.Errorf("got %d other bytes, want %d", len(got), len(want))
	}
	t.Logf("direct after a refusal: %v", a.direct != nil) // not every file system minds
	if err := a.close(); err != nil {
		t.Error(err)
	}
}

// TestAppenderWritesNoOtherFile: the name may lead elsewhere by now.
func TestAppenderWritesNoOtherFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "payloads")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	var a appender
	a.begin(file, 0)
	if err := a.add(file, []byte("payload")); err != nil {
		t.Fatal(err)
	}
	if err := a.flush(file); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, path); string(got) != "another" {
		t.Errorf("the other file has %q", got)
	}
	if got := readFile(t, path+".old"); !bytes.HasPrefix(got, []byte("payload")) {
		t.Errorf("the file has %d other bytes", len(got))
	}
}
