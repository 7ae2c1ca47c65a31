package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialnotary/trialnotary/trial"
)

// requestType tells an enrolment request from other JSON files.
const requestType = "trialnotary-enrolment-request-v1"

// maxRequest bounds an enrolment request, in bytes.
const maxRequest = 64 << 10

// enrolmentRequest is what the holder of a key gives to the sponsor, such as
//
//	{
//	  "type": "trialnotary-enrolment-request-v1",
//	  "charter": "5f0c…",
//	  "body": {"holderId": "berg", "holder": "person", …, "key": "MFkw…", "proof": "MEUC…"}
//	}
//
// The proof covers the whole body and the charter: the sponsor can enrol exactly
// this or nothing.
type enrolmentRequest struct {
	Type    string               `json:"type"`
	Charter trial.ID             `json:"charter"`
	Body    *trial.EnrolmentBody `json:"body"`
}

func (r *enrolmentRequest) marshal() ([]byte, error) {
	text, err := json.Marshal(r, jsontext.WithIndent("  "))
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	return append(text, '\n'), nil
}

// parseRequest reads a request in the one spelling of marshal.
func parseRequest(text []byte) (*enrolmentRequest, error) {
	if len(text) > maxRequest {
		return nil, fmt.Errorf("invalid enrolment request: got more than %d bytes, want at most that", maxRequest)
	}
	r := &enrolmentRequest{}
	if err := unmarshalBody(text, r); err != nil {
		return nil, fmt.Errorf("invalid enrolment request: %w", err)
	}
	switch {
	case r.Type != requestType:
		return nil, fmt.Errorf("invalid enrolment request: got type %q, want %q", r.Type, requestType)
	case r.Body == nil || r.Body.Key == nil || len(r.Body.Proof) == 0:
		return nil, errors.New("invalid enrolment request: got no key or no proof of its holder, want both")
	}
	again, err := r.marshal()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, errors.New("invalid enrolment request: got another spelling, want the file as it was made")
	}
	return r, nil
}

// unmarshalBody reads JSON strictly into a structure that may hold public keys,
// which stand there as base64 of their SubjectPublicKeyInfo.
func unmarshalBody(text []byte, v any) error {
	keys := json.UnmarshalFromFunc(func(dec *jsontext.Decoder, k *trial.PublicKey) error {
		var s string
		if err := json.UnmarshalDecode(dec, &s); err != nil {
			return err
		}
		der, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil {
			return err
		}
		parsed, err := trial.ParsePublicKeyDER(der)
		if err != nil {
			return err
		}
		*k = *parsed
		return nil
	})
	return json.Unmarshal(text, v, json.RejectUnknownMembers(true), json.WithUnmarshalers(keys))
}
