package trial

import (
	"crypto"
	"fmt"

	"github.com/go-json-experiment/json"
)

// AsOfType is the DSSE payload type of an as-of list.
const AsOfType = "application/vnd.trialnotary.as-of.v1+json"

// AsOf is the notary's list of a trial's authority statements below a log size:
// what makes "not revoked as far as is known" mean something. The notary's
// statement key signs it.
type AsOf struct {
	Charter ID
	Origin  string
	Size    uint64
	Root    [32]byte
	// Authority holds the statements' ids in log order, the charter first.
	Authority []ID
}

// SignAsOf signs a list with the notary's key.
func SignAsOf(priv crypto.Signer, list *AsOf) (*Envelope, error) {
	payload, err := json.Marshal(struct {
		Authority []ID     `json:"authority"`
		Charter   ID       `json:"charter"`
		Origin    string   `json:"origin"`
		Root      [32]byte `json:"root"`
		Size      uint64   `json:"size"`
	}{list.Authority, list.Charter, list.Origin, list.Root, list.Size}, encoding)
	if err != nil {
		return nil, fmt.Errorf("encoding an as-of list: %w", err)
	}
	if _, err := parseAsOf(payload); err != nil {
		return nil, err
	}
	return signAs(priv, AsOfType, payload)
}

// ParseAsOfEnvelope reads the envelope of an as-of list, in the form of
// [ParseEnvelope], and checks that its payload is one. It verifies nothing.
func ParseAsOfEnvelope(b []byte) (*Envelope, error) {
	e, err := parseEnvelope(b, AsOfType)
	if err != nil {
		return nil, err
	}
	if _, err := parseAsOf(e.Payload); err != nil {
		return nil, err
	}
	return e, nil
}

// ParseAsOf verifies an as-of list with the notary's key and reads it.
//
//	{"authority": ["HEX", …], "charter": "HEX", "origin": "notary.example",
//	 "root": "BASE64", "size": 1234}
func ParseAsOf(env *Envelope, notary *PublicKey) (*AsOf, error) {
	if env.PayloadType != AsOfType {
		return nil, refuse(ReasonMalformedList, "payloadType", "want %q", AsOfType)
	}
	if err := env.Verify(notary); err != nil {
		return nil, err
	}
	return parseAsOf(env.Payload)
}

func parseAsOf(payload []byte) (*AsOf, error) {
	if len(payload) > MaxPayload {
		return nil, refuse(ReasonTooLarge, "", "got a list of %d bytes, want at most %d", len(payload), MaxPayload)
	}
	var list *AsOf
	refusal := readDocument(payload, ReasonMalformedList, func(r *reader) {
		list = new(AsOf)
		list.read(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	return list, nil
}

func (list *AsOf) read(r *reader) {
	var size, root bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "authority":
			list.Authority = r.ids(MaxPayload / 64)
		case "charter":
			list.Charter = r.hash(ReasonBadIdentifier)
		case "origin":
			list.Origin = r.identifier(isOrigin, "a log's name: a bare host name in lower case")
		case "root":
			list.Root, root = r.base64x32(), true
		case "size":
			list.Size, size = r.number(), true
		default:
			r.unknown()
		}
	}
	r.require("authority", len(list.Authority) > 0)
	r.require("charter", !list.Charter.IsZero())
	r.require("origin", list.Origin != "")
	r.require("root", root)
	r.require("size", size)
	if r.refusal == nil && list.Authority[0] != list.Charter {
		r.failAtf("authority", ReasonMalformedList, "the charter is not the first")
	}
	if r.refusal == nil && uint64(len(list.Authority)) > list.Size {
		r.failAtf("size", ReasonMalformedList, "got more statements than entries")
	}
}
