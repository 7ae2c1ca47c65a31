package trial

import (
	"reflect"
	"strings"
	"testing"
)

func TestAsOf(t *testing.T) {
	charter := ID(hash32(hexOf('a')))
	list := &AsOf{Charter: charter, Origin: "notary.example", Size: 99, Root: hash32(hexOf('b')), Authority: []ID{charter, hash32(hexOf('c'))}}
	env, err := SignAsOf(testKey(t, "notary"), list)
	if err != nil {
		t.Fatal(err)
	}
	env, err = ParseAsOfEnvelope(env.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseAsOf(env, publicKey(t, "notary"))
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("got %+v, %v, want %+v", got, err, list)
	}
	_, err = ParseAsOf(env, publicKey(t, "sponsor"))
	wantRefusal(t, err, ReasonBadSignature, "signatures[0].keyid")
	_, err = ParseEnvelope(env.Marshal())
	wantRefusal(t, err, ReasonMalformedEnvelope, "payloadType")
	// A statement's signature never passes for a list's.
	st, err := Sign(testKey(t, "notary"), env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseAsOf(st, publicKey(t, "notary"))
	wantRefusal(t, err, ReasonMalformedList, "payloadType")
	st.PayloadType = AsOfType
	_, err = ParseAsOf(st, publicKey(t, "notary"))
	wantRefusal(t, err, ReasonBadSignature, "signatures[0].sig")
}

func TestAsOfRefuses(t *testing.T) {
	good := `{"authority":["` + anyHex + `"],"charter":"` + anyHex + `","origin":"notary.example","root":"` +
		strings.Repeat("A", 43) + `=","size":1}`
	if _, err := parseAsOf([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		reason   Reason
		path     string
	}{
		"no charter":        {`"charter":"` + anyHex + `",`, ``, ReasonMissingField, "charter"},
		"charter not first": {`["` + anyHex, `["` + hexOf('a'), ReasonMalformedList, "authority"},
		"twice":             {`["` + anyHex + `"`, `["` + anyHex + `","` + anyHex + `"`, ReasonDuplicateValue, "authority[1]"},
		"nothing":           {`["` + anyHex + `"]`, `[]`, ReasonBadValue, "authority"},
		"more than entries": {`"size":1`, `"size":0`, ReasonMalformedList, "size"},
		"size too large":    {`"size":1`, `"size":9007199254740992`, ReasonNumberTooLarge, "size"},
		"origin with path":  {`example`, `example/log`, ReasonBadIdentifier, "origin"},
		"unknown field":     {`"size"`, `"time":1,"size"`, ReasonUnknownField, "time"},
		"duplicate field":   {`"size"`, `"size":1,"size"`, ReasonDuplicateField, "size"},
		"short root":        {`AAAA`, ``, ReasonBadValue, "root"},
		"trailing":          {`1}`, `1} x`, ReasonMalformedList, ""},
		"a list":            {good, `[]`, ReasonMalformedList, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAsOf([]byte(strings.Replace(good, c.old, c.new, 1)))
			wantRefusal(t, err, c.reason, c.path)
		})
	}
	_, err := parseAsOf(make([]byte, MaxPayload+1))
	wantRefusal(t, err, ReasonTooLarge, "")
	_, err = SignAsOf(testKey(t, "notary"), &AsOf{Authority: []ID{{1}}})
	wantRefusal(t, err, ReasonBadValue, "origin")
}
