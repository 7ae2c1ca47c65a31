//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/trialnotary/trialnotary/trial"
)

const site = "701"

// maxSignature is the length of the longest P-256 signature in DER, in bytes.
const maxSignature = 72

// pool is the load, signed in advance: distinct statements in one block of
// memory, without pointers for the garbage collector to follow. Its size bounds
// what the generator holds.
type pool struct {
	templates []template // by signer; item i is signed by i mod signers
	keys      []signingKey
	length    int // of a payload, in bytes
	payloads  []byte
	sigs      []byte
	sigLens   []uint8
	digests   [][32]byte // of the PAE, which is what Rekor is given
}

// template is a statement with the places that make each copy another one.
type template struct {
	payload []byte
	salt    int   // offset
	digests []int // offsets
}

const (
	saltLength   = 44 // base64 of 32 bytes
	digestLength = 64 // hexadecimal
)

// newPool signs n statements with so many subjects each.
func newPool(id *identity, n, subjects int, now time.Time) (*pool, error) {
	p := &pool{keys: id.keys, sigs: make([]byte, n*maxSignature), sigLens: make([]uint8, n), digests: make([][32]byte, n)}
	for _, k := range id.keys {
		t, err := newTemplate(id, k, subjects, now)
		if err != nil {
			return nil, err
		}
		if p.length == 0 {
			p.length = len(t.payload)
		}
		if len(t.payload) != p.length {
			return nil, fmt.Errorf("invalid template: got %d bytes, want %d like the first", len(t.payload), p.length)
		}
		p.templates = append(p.templates, t)
	}
	p.payloads = make([]byte, n*p.length)
	return p, p.renew()
}

func newTemplate(id *identity, k signingKey, subjects int, now time.Time) (template, error) {
	st := &trial.Statement{Predicate: trial.Predicate{
		Charter: id.id, Kind: trial.KindDataset, Trial: numbers(), Site: site, Version: "1.0",
		Document: &trial.Document{ID: "vital-signs", Language: "en"},
		Declared: trial.NewInstant(now, "Europe/Helsinki"), Signed: trial.NewInstant(now, "Europe/Helsinki"),
		Meaning: trial.MeaningAuthorship, Signer: k.signer(trial.RoleDataManager),
		Reason: "Nightly export of the vital signs of all visits that were entered and verified at the site since the export of the day before.",
		Body: &trial.DataBody{
			Origin: trial.OriginEDC, Purpose: trial.PurposeRoutine, Dataset: "VS", SourceSystem: "Example EDC 4.2, nightly export",
			Cutoff: "2026-02-27", Dictionaries: map[string]string{"MedDRA": "28.1", "WHODrug": "2026-03-01"},
		},
	}}
	filler := strings.Repeat("0", digestLength)
	for i := range subjects {
		st.Subjects = append(st.Subjects, trial.Subject{
			Name: fmt.Sprintf("vital-signs/visit%04d.json", i), Digests: trial.SHA256([32]byte{}),
		})
	}
	payload, err := trial.MarshalStatement(st)
	if err != nil {
		return template{}, err
	}
	parsed, err := trial.ParseStatement(payload)
	if err != nil {
		return template{}, err
	}
	if w := parsed.ParticipantWarnings(); len(w) > 0 {
		return template{}, fmt.Errorf("invalid template: the server would log a warning about its %v", w)
	}
	t := template{payload: payload}
	for from := 0; len(t.digests) < subjects; {
		at := bytes.Index(payload[from:], []byte(filler))
		if at < 0 {
			return template{}, errors.New("invalid template: a digest was not found in the payload")
		}
		t.digests = append(t.digests, from+at)
		from += at + digestLength
	}
	t.salt = bytes.Index(payload, []byte(base64.StdEncoding.EncodeToString(parsed.Predicate.Salt[:])))
	if t.salt < 0 {
		return template{}, errors.New("invalid template: its salt was not found in the payload")
	}
	return t, nil
}

func (p *pool) size() int { return len(p.sigLens) }

// renew makes every statement a new one and signs it, on all cores.
func (p *pool) renew() error {
	var g errgroup.Group
	const part = 1024
	g.SetLimit(cores)
	for from := 0; from < p.size(); from += part {
		g.Go(func() error {
			for i := from; i < min(from+part, p.size()); i++ {
				if err := p.sign(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (p *pool) sign(i int) error {
	t := &p.templates[i%len(p.templates)]
	payload := p.payload(i)
	copy(payload, t.payload)
	var fresh [32]byte
	_, _ = rand.Read(fresh[:]) // never fails
	base64.StdEncoding.Encode(payload[t.salt:t.salt+saltLength], fresh[:])
	sum := fresh
	for _, at := range t.digests {
		sum = sha256.Sum256(sum[:])
		hex.Encode(payload[at:at+digestLength], sum[:])
	}
	env, err := trial.Sign(p.keys[i%len(p.keys)].private, payload)
	if err != nil {
		return err
	}
	p.sigLens[i] = uint8(copy(p.sigs[i*maxSignature:(i+1)*maxSignature], env.Sig))
	p.digests[i] = sha256.Sum256(env.PAE())
	return nil
}

func (p *pool) payload(i int) []byte { return p.payloads[i*p.length : (i+1)*p.length : (i+1)*p.length] }

// envelope is the i-th statement; the bytes stay the pool's.
func (p *pool) envelope(i int) trial.Envelope {
	return trial.Envelope{
		PayloadType: trial.PayloadType, Payload: p.payload(i),
		Sig: p.sigs[i*maxSignature : i*maxSignature+int(p.sigLens[i])],
	}
}

func (p *pool) key(i int) *trial.PublicKey { return p.keys[i%len(p.keys)].public }
