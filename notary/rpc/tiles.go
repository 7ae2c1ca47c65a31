package rpc

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/trialnotary/trialnotary/notary"
)

// Media types and caching of the log's files.
//
// SPEC: https://c2sp.org/tlog-tiles: the checkpoint is "text/plain;
// charset=utf-8" and "mutable", and SHOULD NOT be cached for more than a few
// seconds; tiles are "application/octet-stream" and immutable.
const (
	typeCheckpoint = "text/plain; charset=utf-8"
	typeTile       = "application/octet-stream"
	cacheForever   = "public, max-age=31536000, immutable"
	cachePrivate   = "private, max-age=31536000, immutable"
	cacheNever     = "no-cache"
)

// tiles serves the log's files by their C2SP paths. Which paths exist is for the
// log to say: it parses them strictly.
func (f *front) tiles(w *statusWriter, r *http.Request) error {
	if err := onlyGet(r); err != nil {
		return err
	}
	checkpoint := r.URL.Path == "/checkpoint"
	if f.cfg.TilesClosed && !checkpoint && callOf(r.Context()).user == nil {
		return unauthenticated(detailNone)
	}
	if f.cfg.Tiles == nil {
		return notary.ErrNotFound
	}
	content, immutable, err := f.cfg.Tiles.ReadFile(strings.TrimPrefix(r.URL.Path, "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return notary.ErrNotFound
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Length", strconv.Itoa(len(content)))
	h.Set("Content-Type", typeTile)
	if checkpoint {
		h.Set("Content-Type", typeCheckpoint)
	}
	switch {
	case !immutable:
		h.Set("Cache-Control", cacheNever)
	case f.cfg.TilesClosed:
		h.Set("Cache-Control", cachePrivate)
		h.Set("Vary", "Authorization")
	default:
		h.Set("Cache-Control", cacheForever)
	}
	_, _ = w.Write(content) //nolint:gosec // octets of the log under nosniff, no page; a caller that went away cannot be told
	return nil
}
