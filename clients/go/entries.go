package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// ErrLogFiles means that the log's public files (Options.Tiles) could not be read;
// it says nothing about the log. Trying again may help.
var ErrLogFiles = errTiles

// ErrLogDamaged means that the log's public files are not those of the signed
// checkpoint: damaged, or those of another log. An error that wraps it wraps
// ErrLogFiles too.
var ErrLogDamaged = errors.New("the log's files are not those of the signed checkpoint")

// errNoTiles means that nobody said where the log's files are.
var errNoTiles = errors.New("invalid options: no address of the log's public files (Tiles)")

// bundleSize is the number of entries of a full bundle, fixed by C2SP tlog-tiles.
const bundleSize = 1 << tileHeight

// Limits of what Entries holds at a time: the bundles that are fetched ahead, each
// of up to 16 MiB and of some 130 KiB where statements are notarized, and those
// whose hashes are authenticated by one look at the tree.
const (
	bundlesAhead = 4
	bundleGroup  = 64
	maxBundle    = bundleSize * (2 + receipt.MaxEntry)
)

// PublishedCheckpoint reads the checkpoint that the log's public files show, and
// verifies it under the trust folder's log keys. It is not compared with what was
// seen before. Its error is ErrLogFiles where the file could not be read.
func (c *Client) PublishedCheckpoint(ctx context.Context, trust *receipt.Trust) (receipt.Checkpoint, error) {
	r, err := c.logFiles(ctx)
	if err != nil {
		return receipt.Checkpoint{}, err
	}
	text, err := r.fetch("checkpoint", receipt.MaxCheckpoint)
	if err != nil {
		return receipt.Checkpoint{}, fmt.Errorf("%w: %w", ErrLogFiles, err)
	}
	cp, err := receipt.OpenCheckpoint(text, trust.LogKeys...)
	if err != nil {
		return receipt.Checkpoint{}, fmt.Errorf("the log's published checkpoint: %w", err)
	}
	return cp, nil
}

// Continues proves from the log's public files that the tree of the larger
// checkpoint starts with the whole tree of the smaller one. It fails with
// ErrForked if it does not, with ErrLogFiles if nothing could be proven.
func (c *Client) Continues(ctx context.Context, small, large receipt.Checkpoint) error {
	switch {
	case small.Origin != large.Origin:
		return fmt.Errorf("invalid checkpoints: got the logs %q and %q, want one", small.Origin, large.Origin)
	case small.Size > large.Size:
		return fmt.Errorf("invalid checkpoints: got %d entries before %d, want the smaller one first", small.Size, large.Size)
	case small.Size > 0 && small.Size < large.Size && c.opts.Tiles == "":
		return fmt.Errorf("%w: %w", ErrLogFiles, errNoTiles)
	}
	return c.proveContinues(ctx, small, large)
}

// LeafHash returns the hash of an entry of the checkpoint's tree, authenticated
// against its root.
func (c *Client) LeafHash(ctx context.Context, cp receipt.Checkpoint, index uint64) (receipt.Hash, error) {
	if index >= cp.Size {
		return receipt.Hash{}, fmt.Errorf("invalid index: got %d of %d entries", index, cp.Size)
	}
	r, err := c.logFiles(ctx)
	if err != nil {
		return receipt.Hash{}, err
	}
	hashes, err := r.authentic(cp, []int64{tlog.StoredHashIndex(0, int64(index))})
	if err != nil {
		return receipt.Hash{}, err
	}
	return receipt.Hash(hashes[0]), nil
}

// Entries reads the entries of a checkpoint's tree from index from up to, and
// without, index until, and calls each with them in order. Whatever each is given
// was authenticated against the checkpoint's root; the bytes are its only until it
// returns. An error of each ends the reading.
//
// It fails with ErrLogFiles, and with ErrLogDamaged too where the files are not
// those of the checkpoint. Its memory is bounded whatever the log's size.
func (c *Client) Entries(ctx context.Context, cp receipt.Checkpoint, from, until uint64, each func(index uint64, entry []byte) error) error {
	if until > cp.Size || from > until {
		return fmt.Errorf("invalid range: got entries %d to %d of %d", from, until, cp.Size)
	}
	if from == until {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := c.logFiles(ctx)
	if err != nil {
		return err
	}
	first, last := from/bundleSize, (until-1)/bundleSize
	ahead := r.fetchAhead(cp, first, last)
	defer func() {
		cancel()
		for one := range ahead { // until its goroutines are gone
			<-one
		}
	}()
	for group := first; group <= last; group += bundleGroup {
		want, err := r.bundleHashes(cp, group, min(group+bundleGroup-1, last))
		if err != nil {
			return err
		}
		for n := group; n <= last && n < group+bundleGroup; n++ {
			one, open := <-ahead
			if !open {
				return ctx.Err()
			}
			b := <-one
			if b.err != nil {
				return b.err
			}
			if err := b.give(n, want[n], from, until, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// bundle is one fetched file of entries with the hashes that it gives.
type bundle struct {
	entries [][]byte
	leaves  []tlog.Hash
	err     error
}

// give compares a bundle with what the tree says and hands its entries on.
func (b *bundle) give(n uint64, want []tlog.Hash, from, until uint64, each func(uint64, []byte) error) error {
	got := b.leaves
	if len(want) == 1 {
		got = []tlog.Hash{rootOf(b.leaves)}
	}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			return fmt.Errorf("%w: %w: the entries of %s", ErrLogFiles, ErrLogDamaged, bundlePath(n, 0))
		}
	}
	for i, entry := range b.entries {
		index := n*bundleSize + uint64(i)
		if index < from || index >= until {
			continue
		}
		if err := each(index, entry); err != nil {
			return err
		}
	}
	return nil
}

// rootOf is the RFC 6962 root of a full bundle, which overwrites the hashes.
func rootOf(leaves []tlog.Hash) tlog.Hash {
	for n := len(leaves); n > 1; n /= 2 {
		for i := range n / 2 {
			leaves[i] = tlog.NodeHash(leaves[2*i], leaves[2*i+1])
		}
	}
	return leaves[0]
}

// bundleWidth is the number of entries of a bundle in the checkpoint's tree.
func bundleWidth(cp receipt.Checkpoint, n uint64) int {
	return int(min(cp.Size-n*bundleSize, bundleSize))
}

// bundleHashes returns what the tree says of the bundles from first to last: the
// root of a full one, the leaves of the last one where it is none.
func (r *tileReader) bundleHashes(cp receipt.Checkpoint, first, last uint64) (map[uint64][]tlog.Hash, error) {
	var indexes []int64
	for n := first; n <= last; n++ {
		if w := bundleWidth(cp, n); w < bundleSize {
			for i := range w {
				indexes = append(indexes, tlog.StoredHashIndex(0, int64(n)*bundleSize+int64(i)))
			}
			continue
		}
		indexes = append(indexes, tlog.StoredHashIndex(tileHeight, int64(n)))
	}
	hashes, err := r.authentic(cp, indexes)
	if err != nil {
		return nil, err
	}
	out := make(map[uint64][]tlog.Hash, last-first+1)
	for n := first; n <= last; n++ {
		count := 1
		if w := bundleWidth(cp, n); w < bundleSize {
			count = w
		}
		out[n], hashes = hashes[:count], hashes[count:]
	}
	return out, nil
}

// authentic returns stored hashes of the tree, authenticated against its root.
func (r *tileReader) authentic(cp receipt.Checkpoint, indexes []int64) ([]tlog.Hash, error) {
	tree := tlog.Tree{N: int64(cp.Size), Hash: tlog.Hash(cp.Root)}
	r.err = nil
	hashes, err := tlog.TileHashReader(tree, r).ReadHashes(indexes)
	switch {
	case err == nil:
		return hashes, nil
	case r.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrLogFiles, r.err)
	}
	return nil, fmt.Errorf("%w: %w: %w", ErrLogFiles, ErrLogDamaged, err)
}

// fetchAhead fetches the bundles from first to last, in their order, a few at the
// same time. The channel is closed behind the last one, or soon after the reader's
// context ends.
func (r *tileReader) fetchAhead(cp receipt.Checkpoint, first, last uint64) <-chan chan bundle {
	out := make(chan chan bundle, bundlesAhead-1)
	go func() {
		defer close(out)
		for n := first; n <= last; n++ {
			one := make(chan bundle, 1)
			select {
			case out <- one:
			case <-r.ctx.Done():
				return
			}
			go func() { one <- r.bundle(cp, n) }()
		}
	}()
	return out
}

// bundle fetches and parses one file of entries.
//
// SPEC (C2SP tlog-tiles): "Clients SHOULD … fall back to the full tile" where a
// partial one was removed.
func (r *tileReader) bundle(cp receipt.Checkpoint, n uint64) bundle {
	width := bundleWidth(cp, n)
	path := bundlePath(n, width%bundleSize)
	text, err := r.fetch(path, maxBundle)
	if errors.Is(err, errNotThere) && width < bundleSize {
		path = bundlePath(n, 0)
		text, err = r.fetch(path, maxBundle)
	}
	if err != nil {
		return bundle{err: fmt.Errorf("%w: %w", ErrLogFiles, err)}
	}
	b := bundle{}
	if b.entries, err = parseBundle(text, width, path == bundlePath(n, width%bundleSize)); err != nil {
		return bundle{err: fmt.Errorf("%w: %w: %s: %w", ErrLogFiles, ErrLogDamaged, path, err)}
	}
	b.leaves = make([]tlog.Hash, width)
	for i, e := range b.entries {
		b.leaves[i] = tlog.Hash(receipt.LeafHash(e))
	}
	return b
}

// parseBundle splits an entry bundle into its first width entries. With whole, it
// holds no more than those.
//
// SPEC (C2SP tlog-tiles): "each entry is a uint16 big-endian length followed by
// the entry".
func parseBundle(text []byte, width int, whole bool) ([][]byte, error) {
	entries := make([][]byte, 0, width)
	for len(entries) < width {
		if len(text) < 2 {
			return nil, fmt.Errorf("invalid entries: got %d, want %d", len(entries), width)
		}
		size := int(binary.BigEndian.Uint16(text))
		if text = text[2:]; len(text) < size {
			return nil, fmt.Errorf("invalid entries: number %d ends after %d bytes, want %d", len(entries), len(text), size)
		}
		entries = append(entries, text[:size:size])
		text = text[size:]
	}
	if whole && len(text) > 0 {
		return nil, fmt.Errorf("invalid entries: got %d bytes behind the last one, want none", len(text))
	}
	return entries, nil
}

// bundlePath is where C2SP tlog-tiles puts a bundle of entries; width 0 is a full
// one.
func bundlePath(n uint64, width int) string {
	parts := []string{fmt.Sprintf("%03d", n%1000)}
	for n /= 1000; n > 0; n /= 1000 {
		parts = append([]string{fmt.Sprintf("x%03d", n%1000)}, parts...)
	}
	path := "tile/entries/" + strings.Join(parts, "/")
	if width > 0 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// logFiles returns a reader of the log's public files.
func (c *Client) logFiles(ctx context.Context) (*tileReader, error) {
	if c.opts.Tiles == "" {
		return nil, errNoTiles
	}
	return &tileReader{ctx: ctx, http: c.http, base: strings.TrimSuffix(c.opts.Tiles, "/"), token: c.tilesToken}, nil
}

// fetch reads a file of the log of at most limit bytes.
func (r *tileReader) fetch(path string, limit int64) ([]byte, error) {
	resp, err := r.request(path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := readBody(resp, limit)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", resp.Request.URL, err)
	}
	return b, nil
}

func readBody(resp *http.Response, limit int64) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("got %d bytes, want at most %d", resp.ContentLength, limit)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("got more than %d bytes, want at most that", limit)
	}
	return b, err
}
