package receipt

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// proofOf is an inclusion as it comes from outside.
func proofOf(inc Inclusion) Proof {
	p := Proof{Index: inc.Index, Checkpoint: string(inc.Checkpoint.Note)}
	for _, h := range inc.Path {
		p.Hashes = append(p.Hashes, slices.Clone(h[:]))
	}
	return p
}

func logVerifier(tb testing.TB, keys ...LogKey) *LogVerifier {
	tb.Helper()
	v, err := NewLogVerifier(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// Assemble makes the very bytes of Build, and the receipt that Parse reads from
// them, under every checkpoint.
func TestAssembleIsBuild(t *testing.T) {
	s := newStory(t)
	v := logVerifier(t, s.log)
	for size := uint64(1); size <= uint64(len(s.logged)); size++ {
		for index := range size {
			l, inc := s.logged[index], s.inclusion(index, size)
			if err := v.CheckInclusion(l.env, l.key, inc); err != nil {
				t.Errorf("entry %d of %d: %v", index, size, err)
			}
			r, err := v.Assemble(l.env, l.key, proofOf(inc))
			if err != nil {
				t.Fatalf("entry %d of %d: %v", index, size, err)
			}
			checkAssembled(t, v, l, r)
			if !bytes.Equal(r.Bytes(), s.receiptAt(index, size)) {
				t.Errorf("entry %d of %d: got another text than Build's", index, size)
			}
		}
	}
	l := s.logged[s.dataset]
	r, err := NewVerifier(s.trust()).Assemble(l.env, l.key, proofOf(s.inclusion(s.dataset, uint64(len(s.logged)))))
	if err != nil {
		t.Fatal(err)
	}
	if v := Verify(r, mustEvidence(t, s.evidence(s.dataset)), s.trust(), []File{s.data.file()}); !v.Verified {
		t.Error(v.Summary)
	}
}

// checkAssembled holds a receipt that was put together against its own text.
func checkAssembled(t *testing.T, v *LogVerifier, l logged, r *Receipt) {
	t.Helper()
	if err := v.SelfCheck(r.Bytes(), l.env, l.key); err != nil {
		t.Error(err)
	}
	parsed := mustParse(t, r.Bytes())
	got, want := *r, *parsed
	if !got.Envelope.IsText(want.Envelope.Marshal()) || len(got.Path) != len(want.Path) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got.Envelope, got.statement, got.Path = want.Envelope, want.statement, want.Path
	if !reflect.DeepEqual(got, want) || !slices.Equal(r.Path, parsed.Path) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if st, err := r.Statement(); err != nil || st.ID != l.st.ID {
		t.Errorf("got statement %v, %v", st, err)
	}
}

func TestAssembleRefuses(t *testing.T) {
	s := newStory(t)
	size := uint64(len(s.logged))
	good := s.logged[s.dataset]
	other := newWorld(t)
	other.log = logKey(t, testOrigin, "another log")
	stolen := other.checkpoint(2)
	again := s.sign(s.coordinator, good.st) // another salt is not drawn: the same payload
	again.env.Sig = slices.Clone(good.env.Sig)
	again.env.Sig[len(again.env.Sig)-1] ^= 1
	for name, c := range map[string]struct {
		change func(l *logged, p *Proof)
		want   string
	}{
		"index above":        {func(_ *logged, p *Proof) { p.Index++ }, "does not lead"},
		"index below":        {func(_ *logged, p *Proof) { p.Index-- }, "does not lead"},
		"index out of range": {func(_ *logged, p *Proof) { p.Index = 1 << 63 }, "does not lead"},
		"altered hash":       {func(_ *logged, p *Proof) { p.Hashes[0][31] ^= 1 }, "does not lead"},
		"hash left out":      {func(_ *logged, p *Proof) { p.Hashes = p.Hashes[1:] }, "does not lead"},
		"hash too many":      {func(_ *logged, p *Proof) { p.Hashes = append(p.Hashes, p.Hashes[0]) }, "does not lead"},
		"short hash":         {func(_ *logged, p *Proof) { p.Hashes[1] = p.Hashes[1][:31] }, "hash 1: got 31 bytes"},
		"empty hash":         {func(_ *logged, p *Proof) { p.Hashes[0] = nil }, "hash 0: got 0 bytes"},
		"64 hashes":          {func(_ *logged, p *Proof) { p.Hashes = make([][]byte, 64) }, "got 64 hashes"},
		"older checkpoint":   {func(_ *logged, p *Proof) { p.Checkpoint = string(s.checkpoint(size - 1).Note) }, "does not lead"},
		"another log's":      {func(_ *logged, p *Proof) { p.Checkpoint = string(stolen.Note) }, "no signature of the log's key"},
		"altered size":       {swap("\n"+strconv.FormatUint(size, 10)+"\n", "\n"+strconv.FormatUint(size+1, 10)+"\n"), "signature of notary"},
		"altered root":       {func(_ *logged, p *Proof) { p.Checkpoint = changeRoot(p.Checkpoint) }, "signature of notary"},
		"unsigned":           {func(_ *logged, p *Proof) { p.Checkpoint, _, _ = strings.Cut(p.Checkpoint, "—") }, "invalid checkpoint"},
		"empty checkpoint":   {func(_ *logged, p *Proof) { p.Checkpoint = "" }, "invalid checkpoint"},
		"CRLF":               {swap("\n", "\r\n"), "control character"},
		"another's envelope": {func(l *logged, _ *Proof) { *l = s.logged[0] }, "does not lead"},
		"other signature":    {func(l *logged, _ *Proof) { l.env = again.env }, "does not lead"},
		"other key":          {func(l *logged, _ *Proof) { l.key = s.sponsor.key }, "does not lead"},
		"no payload":         {func(l *logged, _ *Proof) { l.env = &trial.Envelope{PayloadType: trial.PayloadType} }, "invalid envelope"},
		"other payload type": {func(l *logged, _ *Proof) {
			l.env = &trial.Envelope{PayloadType: "text/plain", Payload: l.env.Payload, Sig: l.env.Sig}
		}, "invalid envelope"},
	} {
		t.Run(name, func(t *testing.T) {
			l, p := good, proofOf(s.inclusion(s.dataset, size))
			c.change(&l, &p)
			v := logVerifier(t, s.log)
			for i := range 3 { // the second time it is remembered
				if i == 2 { // and now a good proof of the same tree is too
					if _, err := v.Assemble(good.env, good.key, proofOf(s.inclusion(s.dataset, size))); err != nil {
						t.Fatal(err)
					}
				}
				r, err := v.Assemble(l.env, l.key, p)
				if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want an error about %q", err, c.want)
				}
			}
		})
	}
}

// swap replaces the first place of a text in the checkpoint.
func swap(from, to string) func(*logged, *Proof) {
	return func(_ *logged, p *Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, from, to, 1) }
}

func changeRoot(note string) string {
	lines := strings.SplitN(note, "\n", 4)
	first := byte('A')
	if lines[2][0] == first {
		first = 'B'
	}
	lines[2] = string(first) + lines[2][1:]
	return strings.Join(lines, "\n")
}

// What stands beside a checkpoint may not differ from what is in it: the service
// checks what it is about to say, not what it meant.
func TestCheckInclusionRefuses(t *testing.T) {
	s := newStory(t)
	size := uint64(len(s.logged))
	l := s.logged[s.dataset]
	for name, c := range map[string]struct {
		change func(inc *Inclusion)
		want   string
	}{
		"size beside":   {func(inc *Inclusion) { inc.Checkpoint.Size++ }, "beside the checkpoint"},
		"root beside":   {func(inc *Inclusion) { inc.Checkpoint.Root[0] ^= 1 }, "beside the checkpoint"},
		"origin beside": {func(inc *Inclusion) { inc.Checkpoint.Origin = "other.example" }, "beside the checkpoint"},
		"another note":  {func(inc *Inclusion) { inc.Checkpoint.Note = s.checkpoint(size - 1).Note }, "beside the checkpoint"},
		"no note":       {func(inc *Inclusion) { inc.Checkpoint.Note = nil }, "invalid checkpoint"},
		"altered note":  {func(inc *Inclusion) { inc.Checkpoint.Note[len(inc.Checkpoint.Note)-8] ^= 1 }, "checkpoint"},
		"index":         {func(inc *Inclusion) { inc.Index-- }, "does not lead"},
		"hash":          {func(inc *Inclusion) { inc.Path[0][0] ^= 1 }, "does not lead"},
		"a whole tree earlier": {func(inc *Inclusion) {
			inc.Checkpoint = s.checkpoint(size - 1)
		}, "does not lead"},
	} {
		t.Run(name, func(t *testing.T) {
			inc := s.inclusion(s.dataset, size)
			v := logVerifier(t, s.log)
			if err := v.CheckInclusion(l.env, l.key, s.inclusion(s.dataset, size)); err != nil {
				t.Fatal(err)
			}
			c.change(&inc)
			if err := v.CheckInclusion(l.env, l.key, inc); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}

// FuzzAssemble: whatever a notary answers, a receipt that comes out of it is one
// that parses and verifies.
func FuzzAssemble(f *testing.F) {
	s := newStory(f)
	l := s.logged[s.dataset]
	good := proofOf(s.inclusion(s.dataset, uint64(len(s.logged))))
	f.Add(good.Index, bytes.Join(good.Hashes, nil), good.Checkpoint)
	f.Add(good.Index, []byte{}, good.Checkpoint)
	f.Add(uint64(1<<63), make([]byte, 32*64), "a\n1\nAAAA\n\n— a AAAAAAA=\n")
	v := logVerifier(f, s.log)
	f.Fuzz(func(t *testing.T, index uint64, hashes []byte, checkpoint string) {
		p := Proof{Index: index, Checkpoint: checkpoint}
		for h := range slices.Chunk(hashes, 32) {
			p.Hashes = append(p.Hashes, h)
		}
		r, err := v.Assemble(l.env, l.key, p)
		if err != nil {
			return
		}
		checkAssembled(t, v, l, r)
		if index != s.dataset {
			t.Errorf("accepted index %d, want %d", index, s.dataset)
		}
	})
}
