package trial

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzParseEnvelope(f *testing.F) {
	for _, p := range docPayloads(f) {
		e, err := Sign(testKey(f, "dm"), p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err != nil {
			wantPlainRefusal(t, err)
			return
		}
		again, err := ParseEnvelope(e.Marshal())
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("got %+v, %v after marshalling, want %+v", again, err, e)
		}
	})
}

func FuzzParseStatement(f *testing.F) {
	for _, p := range docPayloads(f) {
		f.Add(p)
	}
	good := goodStatements(f)
	for _, c := range refusalCases() {
		if doc := c.change(good[c.kind]); len(doc) < 8<<10 {
			f.Add([]byte(doc))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		st, err := ParseStatement(b)
		if !bytes.Equal(b, kept) {
			t.Fatal("parsing changed the payload")
		}
		if err != nil {
			wantPlainRefusal(t, err)
			return
		}
		again, err := ParseStatement(kept)
		if err != nil || !reflect.DeepEqual(again, st) {
			t.Fatalf("got %+v, %v from the same bytes, want %+v", again, err, st)
		}
		if part, err := ReadSubjects(kept); err != nil || !reflect.DeepEqual(part, st.Subjects) {
			t.Fatalf("got subjects %+v, %v alone, want %+v", part, err, st.Subjects)
		}
		// What we write of it reads as the same statement.
		other := &Statement{Subjects: st.Subjects, Predicate: st.Predicate}
		if _, err := MarshalStatement(other); err != nil {
			t.Fatalf("marshalling: %v", err)
		}
		if _, raw := st.Predicate.Body.(RawBody); !raw && !reflect.DeepEqual(other.Predicate, st.Predicate) {
			t.Fatalf("got %+v after marshalling, want %+v", other.Predicate, st.Predicate)
		}
		if st.Predicate.Kind == KindCharter {
			_, _ = NewAuthority(st, 0)
		}
		st.ParticipantWarnings()
	})
}

func FuzzParseManifest(f *testing.F) {
	for _, n := range []int{1, 2, 5} {
		m := newManifest(f, n)
		f.Add(m.Marshal())
		p, err := m.ProveFile(m.Files()[0].Path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseManifestProof(b); err != nil {
			wantPlainRefusal(t, err)
		} else if !bytes.Equal(p.Marshal(), b) {
			t.Errorf("got another spelling of a proof")
		} else if err := p.Verify(hash32(hexOf('a')), p.files); err == nil {
			t.Errorf("a proof leads to any root")
		}
		m, err := ParseManifest(b)
		if err != nil {
			wantPlainRefusal(t, err)
			return
		}
		if !bytes.Equal(m.Marshal(), b) {
			t.Errorf("got another spelling of a manifest")
		}
		root := m.Root()
		for _, file := range m.Files() {
			p, err := m.Prove(file.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(root, m.Len()); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzParseAsOf(f *testing.F) {
	id := ID(hash32(hexOf('a')))
	env, err := SignAsOf(testKey(f, "notary"), &AsOf{Charter: id, Origin: "notary.example", Size: 1, Authority: []ID{id}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(env.Payload)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseAsOf(b)
		if err != nil {
			wantPlainRefusal(t, err)
			return
		}
		env, err := SignAsOf(testKey(t, "notary"), list)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseAsOf(env, publicKey(t, "notary"))
		if err != nil || !reflect.DeepEqual(again, list) {
			t.Errorf("got %+v, %v after signing, want %+v", again, err, list)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	pub := publicKey(f, "dm")
	priv, err := MarshalPrivateKeyPEM(testKey(f, "dm"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pub.DER)
	f.Add(pub.PEM())
	f.Add(priv)
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParsePublicKeyDER(b); err != nil {
			wantPlainRefusal(t, err)
		} else if !bytes.Equal(k.DER, b) {
			t.Error("got another encoding of a key")
		}
		if k, err := ParsePublicKeyPEM(b); err != nil {
			wantPlainRefusal(t, err)
		} else if again, err := ParsePublicKeyPEM(k.PEM()); err != nil || again.ID != k.ID {
			t.Errorf("got %v after encoding", err)
		}
		if _, err := ParsePrivateKeyPEM(b); err != nil {
			wantPlainRefusal(t, err)
		}
	})
}

// wantPlainRefusal wants a reason of the list and words that any terminal shows.
func wantPlainRefusal(t *testing.T, err error) {
	t.Helper()
	wantRefusal(t, err, ReasonOf(err), "*")
	if len(err.Error()) > 2000 {
		t.Errorf("got %d characters of detail", len(err.Error()))
	}
}
