package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// tileHeight is fixed by C2SP tlog-tiles: 256 hashes a tile.
const tileHeight = 8

// errTiles means that the log's public files could not be read; it says nothing
// about the log.
var errTiles = errors.New("log files not readable")

// proveContinues checks that the tree of the larger checkpoint starts with the
// whole tree of the smaller one, from hash tiles that are authenticated against
// the larger root. It fails with ErrForked if not, with errTiles if the tiles
// could not be had.
func (c *Client) proveContinues(ctx context.Context, small, large receipt.Checkpoint) error {
	if small.Size == 0 {
		return nil
	}
	if small.Size == large.Size {
		if small.Root != large.Root {
			return forked(small, large)
		}
		return nil
	}
	tree := tlog.Tree{N: int64(large.Size), Hash: tlog.Hash(large.Root)}
	r := &tileReader{ctx: ctx, http: c.http, base: strings.TrimSuffix(c.opts.Tiles, "/"), token: c.tilesToken}
	proof, err := tlog.ProveTree(tree.N, int64(small.Size), tlog.TileHashReader(tree, r))
	if err != nil {
		if r.err != nil {
			return fmt.Errorf("%w: %w", errTiles, r.err)
		}
		// Tiles that do not hash to the signed root: the files are damaged or
		// those of another log. Nothing is proven either way.
		return fmt.Errorf("%w: %w: %w", errTiles, ErrLogDamaged, err)
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, int64(small.Size), tlog.Hash(small.Root)); err != nil {
		return forked(small, large)
	}
	return nil
}

// tileReader fetches C2SP tlog-tiles hash tiles over HTTP.
type tileReader struct {
	ctx   context.Context
	http  *http.Client
	base  string
	token string
	err   error
}

func (r *tileReader) Height() int { return tileHeight }

func (r *tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		b, err := r.readTile(t)
		if err != nil {
			r.err = err
			return nil, err
		}
		data[i] = b
	}
	return data, nil
}

// SPEC (C2SP tlog-tiles): "Clients SHOULD … fall back to the full tile" where a
// partial one was removed.
func (r *tileReader) readTile(t tlog.Tile) ([]byte, error) {
	b, err := r.get(tilePath(t), t.W*tlog.HashSize)
	if errors.Is(err, errNotThere) && t.W < 1<<tileHeight {
		full := t
		full.W = 1 << tileHeight
		if b, err = r.get(tilePath(full), full.W*tlog.HashSize); err == nil {
			b = b[:t.W*tlog.HashSize]
		}
	}
	return b, err
}

var errNotThere = errors.New("not found")

func (r *tileReader) get(path string, size int) ([]byte, error) {
	b, err := r.fetch(path, int64(size))
	if err == nil && len(b) != size {
		err = fmt.Errorf("reading %s: got %d bytes, want %d", path, len(b), size)
	}
	return b, err
}

// request asks for a file of the log; the caller closes the body.
func (r *tileReader) request(path string) (*http.Response, error) {
	u, err := url.JoinPath(r.base, path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, u, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", u, err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", u, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp, nil
	case http.StatusNotFound, http.StatusGone:
		err = errNotThere
	default:
		err = fmt.Errorf("got status %d, want 200", resp.StatusCode)
	}
	return nil, errors.Join(fmt.Errorf("reading %s: %w", u, err), resp.Body.Close())
}

// tilePath is tlog's path without the height, which C2SP fixes.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", tileHeight))
}
