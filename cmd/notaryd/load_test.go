package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

// asLoad makes the test binary be a load generator: its value is a load.
const asLoad = "NOTARYD_TEST_LOAD"

// loadReady is what a load generator prints when it waits to be started.
const loadReady = "ready\n"

// load is what a load generator is told, as JSON.
type load struct {
	Address  string `json:"address"`
	CA       string `json:"ca"`
	Token    string `json:"token"`
	Key      []byte `json:"key"`      // PEM
	LogKey   string `json:"logKey"`   // vkey
	Template []byte `json:"template"` // a payload: each statement gets other digests and another salt
	Count    int    `json:"count"`
	InFlight int    `json:"inFlight"`
	Subjects int    `json:"subjects"` // in each statement, at least one
	Stream   bool   `json:"stream"`   // SubmitStream, one on each connection

	signer   *trial.PublicKey
	verifier *receipt.LogVerifier
}

// loadResult is what a load generator prints at the end.
type loadResult struct {
	Took      time.Duration   `json:"took"`
	CPU       time.Duration   `json:"cpu"`
	Latencies []time.Duration `json:"latencies"`
}

// callsPerConnection bounds the load on one connection as the server does.
const callsPerConnection = 1000

// evidence is the newest evidence file that a load generator was given: as any
// client that sends many does, it does not have it sent again.
type evidence struct{ atomic.Pointer[string] }

func (e *evidence) held() string {
	if p := e.Load(); p != nil {
		return *p
	}
	return ""
}

func (e *evidence) take(r *notaryv1.Receipt) {
	if r.GetEvidence() != "" {
		e.Store(&r.EvidenceSha256)
	}
}

// runLoad is the load generator. It signs, says that it is ready, and sends when
// it is told to. It dials without the client library, whose files and verdicts are
// a site's work and not the server's, but asks as that does and makes and verifies
// every receipt.
func runLoad(order string, in io.Reader, out io.Writer) error {
	var l load
	if err := json.Unmarshal([]byte(order), &l); err != nil {
		return err
	}
	envs, err := l.sign()
	if err != nil {
		return err
	}
	apis, err := l.dial()
	if err != nil {
		return err
	}
	logKey, err := receipt.ParseLogKey(l.LogKey)
	if err != nil {
		return err
	}
	if l.verifier, err = receipt.NewLogVerifier(logKey); err != nil {
		return err
	}
	if _, err := io.WriteString(out, loadReady); err != nil {
		return err
	}
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return err
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+l.Token)
	send := l.unary
	if l.Stream {
		send = l.stream
	}
	r := loadResult{Latencies: make([]time.Duration, len(envs))}
	began, cpu := time.Now(), benchtest.CPU()
	if err := send(ctx, apis, envs, r.Latencies); err != nil {
		return err
	}
	r.Took = time.Since(began)
	r.CPU = benchtest.CPU() - cpu
	return json.NewEncoder(out).Encode(r)
}

func (l *load) sign() ([]*notaryv1.Envelope, error) {
	key, err := trial.ParsePrivateKeyPEM(l.Key)
	if err != nil {
		return nil, err
	}
	if l.signer, err = trial.NewPublicKey(key.Public()); err != nil {
		return nil, err
	}
	envs := make([]*notaryv1.Envelope, l.Count)
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for part := range errs {
		wait.Go(func() {
			for i := part; i < l.Count && errs[part] == nil; i += len(errs) {
				envs[i], errs[part] = l.signOne(key)
			}
		})
	}
	wait.Wait()
	return envs, errors.Join(errs...)
}

func (l *load) signOne(key *ecdsa.PrivateKey) (*notaryv1.Envelope, error) {
	st, err := trial.ParseStatement(l.Template)
	if err != nil {
		return nil, err
	}
	st.Subjects = make([]trial.Subject, max(l.Subjects, 1))
	for i := range st.Subjects {
		var digest [32]byte
		_, _ = rand.Read(digest[:]) // never fails
		st.Subjects[i] = trial.Subject{
			Name: fmt.Sprintf("vs-%04d.json", i), Digests: trial.SHA256(digest),
		}
	}
	st.Predicate.Salt = [32]byte{}
	payload, err := trial.MarshalStatement(st)
	if err != nil {
		return nil, err
	}
	env, err := trial.Sign(key, payload)
	if err != nil {
		return nil, err
	}
	return &notaryv1.Envelope{
		Payload: env.Payload, PayloadType: env.PayloadType, Signatures: []*notaryv1.Signature{{Sig: env.Sig, Keyid: env.KeyID}},
	}, nil
}

// verify makes the receipt of what was sent and the proof.
func (l *load) verify(sent *notaryv1.Envelope, r *notaryv1.Receipt) error {
	sig := sent.GetSignatures()[0]
	_, err := l.verifier.Assemble(trial.NewEnvelope(sent.GetPayload(), sig.GetKeyid(), sig.GetSig()), l.signer, receipt.Proof{
		Index: r.GetLogIndex(), Hashes: r.GetProof().GetHashes(), Checkpoint: r.GetProof().GetCheckpoint(),
	})
	return err
}

// dial returns enough connections for the load, the same number for each kind.
func (l *load) dial() ([]notaryv1.NotaryServiceClient, error) {
	ca, err := os.ReadFile(l.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	creds := credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool})
	apis := make([]notaryv1.NotaryServiceClient, (l.InFlight+callsPerConnection-1)/callsPerConnection)
	for i := range apis {
		conn, err := grpc.NewClient(l.Address, grpc.WithTransportCredentials(creds))
		if err != nil {
			return nil, err
		}
		apis[i] = notaryv1.NewNotaryServiceClient(conn)
	}
	return apis, nil
}

func (l *load) unary(ctx context.Context, apis []notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, took []time.Duration) error {
	var next atomic.Int64
	var ev evidence
	var wait sync.WaitGroup
	errs := make([]error, l.InFlight)
	for worker := range l.InFlight {
		wait.Go(func() {
			api := apis[worker%len(apis)]
			for errs[worker] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(envs) {
					return
				}
				began := time.Now()
				var resp *notaryv1.SubmitResponse
				resp, errs[worker] = api.Submit(ctx, &notaryv1.SubmitRequest{
					Envelope: envs[i], HeldEvidence: ev.held(), ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF,
				})
				if errs[worker] == nil {
					ev.take(resp.GetReceipt())
					errs[worker] = l.verify(envs[i], resp.GetReceipt())
				}
				took[i] = time.Since(began)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func (l *load) stream(ctx context.Context, apis []notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, took []time.Duration) error {
	var wait sync.WaitGroup
	errs := make([]error, len(apis))
	for n, api := range apis {
		from, to := n*len(envs)/len(apis), (n+1)*len(envs)/len(apis)
		wait.Go(func() { errs[n] = l.oneStream(ctx, api, envs[from:to], took[from:to], l.InFlight/len(apis)) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// itemsAtOnce is how many statements a message of a stream has at most.
const itemsAtOnce = 64

// wholeReceipt is a result with what its message says once.
func wholeReceipt(r *notaryv1.SubmitStreamResult, checkpoint string) *notaryv1.Receipt {
	p := r.GetProof()
	if p == nil {
		return r.GetReceipt()
	}
	proof := &notaryv1.ReceiptProof{Checkpoint: checkpoint, PublicKey: p.GetPublicKey()}
	for hash := range slices.Chunk(p.GetHashes(), 32) {
		proof.Hashes = append(proof.Hashes, hash)
	}
	return &notaryv1.Receipt{LogIndex: p.GetLogIndex(), Proof: proof}
}

func (l *load) oneStream(ctx context.Context, api notaryv1.NotaryServiceClient, envs []*notaryv1.Envelope, took []time.Duration, inFlight int) error {
	st, err := api.SubmitStream(ctx)
	if err != nil {
		return err
	}
	var ev evidence
	began := make([]time.Time, len(envs))
	places := make(chan struct{}, inFlight)
	go func() {
		for i := 0; i < len(envs); {
			req := &notaryv1.SubmitStreamRequest{ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF}
			places <- struct{}{}
			for free := true; free; {
				began[i] = time.Now()
				req.Items = append(req.Items, &notaryv1.SubmitStreamItem{Id: strconv.Itoa(i), Envelope: envs[i], HeldEvidence: ev.held()})
				if i++; i == len(envs) || len(req.GetItems()) == itemsAtOnce {
					break
				}
				select {
				case places <- struct{}{}:
				default:
					free = false
				}
			}
			if st.Send(req) != nil {
				return // Recv says why
			}
		}
		_ = st.CloseSend()
	}()
	for left := len(envs); left > 0; {
		answer, err := st.Recv()
		if err != nil {
			return err
		}
		all := answer.GetResults()
		for range all.GetResults() {
			<-places
		}
		for _, r := range all.GetResults() {
			i, err := strconv.Atoi(r.GetId())
			if err != nil {
				return err
			}
			if r.GetError() != nil {
				return fmt.Errorf("refused: %v", r.GetError())
			}
			ev.take(r.GetReceipt())
			if err := l.verify(envs[i], wholeReceipt(r, all.GetCheckpoint())); err != nil {
				return err
			}
			took[i] = time.Since(began[i])
		}
		left -= len(all.GetResults())
	}
	return nil
}
