package rpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// GetReceipt returns the receipt of a logged statement.
func (a *api) GetReceipt(ctx context.Context, req *notaryv1.GetReceiptRequest) (*notaryv1.GetReceiptResponse, error) {
	rec, err := a.record(ctx, req.GetStatementId())
	if err != nil {
		return nil, err
	}
	res, err := a.cfg.Service.Receipt(ctx, rec.ID)
	if err != nil {
		return nil, err
	}
	return &notaryv1.GetReceiptResponse{Receipt: receiptMessage(res, "")}, nil
}

// GetStatement returns a logged statement as it was signed.
func (a *api) GetStatement(ctx context.Context, req *notaryv1.GetStatementRequest) (*notaryv1.GetStatementResponse, error) {
	rec, err := a.record(ctx, req.GetStatementId())
	if err != nil {
		return nil, err
	}
	m, err := statementMessage(rec)
	if err != nil {
		return nil, err
	}
	m.Envelope = envelopeMessage(&rec.Envelope)
	return &notaryv1.GetStatementResponse{Statement: m}, nil
}

// record returns a logged statement that the caller may see. The work is the
// same for a statement that is not the caller's and one that is not there: one
// look-up by id, and no proof is built before the question is settled.
func (a *api) record(ctx context.Context, statementID string) (*notary.Record, error) {
	id, err := parseID("statementId", statementID)
	if err != nil {
		return nil, err
	}
	user := callOf(ctx).user
	rec, err := a.cfg.Service.Statement(ctx, id)
	if damaged := new(notary.UnreadableError); errors.As(err, &damaged) && !user.seesRecord(damaged.Record) {
		err = notYours{} // that there is one is not theirs to know either
	}
	switch {
	case err == nil && user.seesRecord(rec):
		return rec, nil
	case err != nil && !errors.Is(err, notary.ErrNotFound):
		return nil, &statementError{id: id, err: err}
	case user == nil:
		// Only time marks are for everyone, and whether there is anything else
		// of this id is not.
		return nil, unauthenticated(detailNone)
	case err != nil:
		return nil, &statementError{id: id, err: err}
	}
	return nil, &statementError{id: id, err: notYours{}}
}

// trialOf resolves a trial's name and demands that the caller sees the trial. A
// charter's id that is not the caller's is not even looked up.
func (a *api) trialOf(ctx context.Context, name string) (trial.ID, error) {
	user := callOf(ctx).user
	if id, err := trial.ParseID(name); err == nil && !user.sees(id) {
		return id, notYours{}
	}
	id, err := a.cfg.Service.Resolve(ctx, name)
	switch {
	case trial.ReasonOf(err) == trial.ReasonAmbiguousTrial:
		// That two trials claim a number is for those to know who see one.
		seen, listErr := a.claims(ctx, user, name)
		if listErr != nil {
			return id, listErr
		}
		if !seen {
			return id, notYours{}
		}
		return id, err
	case err != nil:
		return id, err
	case !user.sees(id):
		return id, notYours{}
	}
	return id, nil
}

// claims tells whether a trial that the user sees claims the registry number.
func (a *api) claims(ctx context.Context, user *User, number string) (bool, error) {
	number = trial.NormaliseRegistryNumber(number)
	for _, g := range user.visible().Grants {
		for _, kind := range []trial.Kind{trial.KindCharter, trial.KindRegistration} {
			records, err := a.cfg.Service.List(ctx, notary.Query{
				Charter: &g.Charter, Kind: kind, After: -1, Below: math.MaxInt64, Limit: maxPage,
			})
			if err != nil {
				return false, err
			}
			for _, r := range records {
				if slices.Contains(r.Registry, number) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// selection is what a request may select of a trial.
type selection interface {
	GetTrial() string
	GetSite() string
	GetKind() string
	GetFrom() *timestamppb.Timestamp
	GetUntil() *timestamppb.Timestamp
}

// trialQuery checks what is selected, and then whether the caller may see the trial.
func (a *api) trialQuery(ctx context.Context, req selection) (*notary.Query, error) {
	from, err := parseTime("from", req.GetFrom())
	if err != nil {
		return nil, err
	}
	until, err := parseTime("until", req.GetUntil())
	if err != nil {
		return nil, err
	}
	if err := knownKind(req.GetKind()); err != nil {
		return nil, err
	}
	charter, err := a.trialOf(ctx, req.GetTrial())
	if err != nil {
		return nil, err
	}
	return &notary.Query{Charter: &charter, Site: req.GetSite(), Kind: trial.Kind(req.GetKind()), From: from, Until: until}, nil
}

// ListStatements lists a trial's statements.
func (a *api) ListStatements(ctx context.Context, req *notaryv1.ListStatementsRequest) (*notaryv1.ListStatementsResponse, error) {
	q, err := a.trialQuery(ctx, req)
	if err != nil {
		return nil, err
	}
	q.Unreadable = true
	l, err := a.list(ctx, *q, req.GetPageSize(), req.GetPageToken(), a.cfg.Service.List)
	if err != nil {
		return nil, err
	}
	return &notaryv1.ListStatementsResponse{Statements: l.statements, NextPageToken: l.next, LogSize: l.size}, nil
}

// FindSubject lists the statements about a file.
func (a *api) FindSubject(ctx context.Context, req *notaryv1.FindSubjectRequest) (*notaryv1.FindSubjectResponse, error) {
	digest, err := parseID("sha256", req.GetSha256())
	if err != nil {
		return nil, err
	}
	q := notary.Query{Digest: digest.String()}
	l, err := a.list(ctx, q, req.GetPageSize(), req.GetPageToken(), a.cfg.Service.FindSubject)
	if err != nil {
		return nil, err
	}
	return &notaryv1.FindSubjectResponse{Statements: l.statements, NextPageToken: l.next}, nil
}

// listed is one page of a list.
type listed struct {
	statements []*notaryv1.Statement
	next       string
	size       uint64
}

type lister func(ctx context.Context, q notary.Query) ([]*notary.Record, error)

// list reads one page of what the caller may see of a query.
func (a *api) list(ctx context.Context, q notary.Query, size int32, token string, fetch lister) (*listed, error) {
	limit, err := pageSize(size)
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	q.Visible = c.user.visible()
	bound := bind(c.method, &q, c.name())
	p, further, err := parsePage(a.cfg.PageKey, bound, token)
	if err != nil {
		return nil, err
	}
	q.After = -1
	if further {
		q.After = int64(min(p.after, math.MaxInt64))
	} else {
		p.size = a.cfg.Service.Checkpoint().Size
	}
	q.Below, q.Limit, q.MaxBytes = p.size, limit+1, maxPageBytes
	out := &listed{size: p.size}
	if len(q.Visible.Grants) == 0 {
		return out, nil
	}
	records, err := fetch(ctx, q)
	if err != nil {
		return nil, err
	}
	if n := pageLength(records, limit); n < len(records) {
		records = records[:n]
		p.after = records[n-1].Index
		out.next = p.encode(a.cfg.PageKey, bound)
	}
	for _, r := range records {
		if r.Unreadable != nil { // the operator is to know it, though the caller goes on
			a.log.Error("a statement cannot be read", zap.String("request_id", c.id), zap.Stringer("statement", r.ID), zap.Error(r.Unreadable))
			m := indexMessage(r)
			m.Unreadable = true
			out.statements = append(out.statements, m)
			continue
		}
		m, err := statementMessage(r)
		if err != nil {
			return nil, err
		}
		out.statements = append(out.statements, m)
	}
	return out, nil
}

// pageLength returns how many of the records are one page. The first one always is.
func pageLength(records []*notary.Record, limit int) int {
	size := 0
	for i, r := range records {
		if size += len(r.Envelope.Payload); i == limit || i > 0 && size > maxPageBytes {
			return i
		}
	}
	return len(records)
}

// GetCheckpoint returns the newest published checkpoint.
func (a *api) GetCheckpoint(context.Context, *notaryv1.GetCheckpointRequest) (*notaryv1.GetCheckpointResponse, error) {
	c := a.cfg.Service.Checkpoint()
	return &notaryv1.GetCheckpointResponse{Checkpoint: string(c.Note), Origin: c.Origin, Size: c.Size, Root: c.Root[:]}, nil
}

// GetTimeMark returns the receipt of the last time mark below an index.
func (a *api) GetTimeMark(ctx context.Context, req *notaryv1.GetTimeMarkRequest) (*notaryv1.GetTimeMarkResponse, error) {
	res, err := a.cfg.Service.TimeMark(ctx, req.GetBelow())
	if err != nil {
		return nil, err
	}
	return &notaryv1.GetTimeMarkResponse{Receipt: receiptMessage(res, "")}, nil
}

// GetTrustMaterial returns a trial's trust folder.
func (a *api) GetTrustMaterial(ctx context.Context, req *notaryv1.GetTrustMaterialRequest) (*notaryv1.GetTrustMaterialResponse, error) {
	charter, err := a.trialOf(ctx, req.GetTrial())
	if err != nil {
		return nil, err
	}
	trust, err := a.cfg.Service.Trust(ctx, charter)
	if err != nil {
		return nil, err
	}
	return trustMessage(charter, trust), nil
}

// Verify judges a receipt. A bad receipt is a negative verdict, not an error.
func (a *api) Verify(ctx context.Context, req *notaryv1.VerifyRequest) (*notaryv1.VerifyResponse, error) {
	files, err := fileDigests(req.GetFiles())
	if err != nil {
		return nil, err
	}
	switch {
	case req.GetReceipt() == "":
		return nil, badRequest("receipt", "got none, want a Sigstore bundle as JSON text")
	case len(req.GetReceipt()) > maxReceipt:
		return nil, &trial.Refusal{
			Reason: trial.ReasonTooLarge, Path: "receipt",
			Detail: fmt.Sprintf("got %d bytes, want at most %d", len(req.GetReceipt()), maxReceipt),
		}
	}
	charter, err := a.trialOf(ctx, req.GetTrial())
	if err != nil {
		return nil, err
	}
	var evidence []byte // nil where none was sent
	if text := req.GetEvidence(); text != "" {
		evidence = []byte(text)
	}
	verdict, err := a.cfg.Service.Verify(ctx, charter, []byte(req.GetReceipt()), evidence, files)
	if err != nil {
		return nil, err
	}
	return verdictMessage(verdict), nil
}

// Limits of Verify: the receipt in bytes, and the files.
const (
	maxReceipt = 2 << 20
	maxFiles   = 10_000
)

func fileDigests(in []*notaryv1.FileDigest) ([]receipt.File, error) {
	if len(in) > maxFiles {
		return nil, badRequest("files", "got %d files, want at most %d", len(in), maxFiles)
	}
	var out []receipt.File
	for i, f := range in {
		if f.GetName() == "" {
			return nil, badRequest(fmt.Sprintf("files[%d].name", i), "got none, want the file's name")
		}
		digest, err := parseID(fmt.Sprintf("files[%d].sha256", i), f.GetSha256())
		if err != nil {
			return nil, err
		}
		file := receipt.File{Name: f.GetName(), SHA256: digest, Size: f.GetSize()}
		if f.GetContentDigest() != "" {
			table, err := parseID(fmt.Sprintf("files[%d].contentDigest", i), f.GetContentDigest())
			if err != nil {
				return nil, err
			}
			file.Table = (*[32]byte)(&table)
		}
		if f.GetProof() != "" {
			if file.Proof, err = trial.ParseManifestProof([]byte(f.GetProof())); err != nil {
				return nil, at(fmt.Sprintf("files[%d].proof", i), err)
			}
		}
		out = append(out, file)
	}
	return out, nil
}
