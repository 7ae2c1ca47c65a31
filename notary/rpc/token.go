package rpc

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// A bearer token is "tn_" and 32 random bytes in unpadded base64url, such as
//
//	tn_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU
//
// The prefix lets scanners find tokens that were leaked. Only the SHA-256 of the
// whole text is ever stored: with 256 random bits there is nothing to guess, so
// no slow hash is needed.
const (
	tokenPrefix = "tn_"
	tokenLength = len(tokenPrefix) + 43
)

// errTokenForm says nothing of what was sent: it may be another system's secret.
var errTokenForm = errors.New("not a token of this notary")

// NewToken returns a new token and what to store of it.
func NewToken() (token string, hash [32]byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the process instead
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return token, sha256.Sum256([]byte(token))
}

// HashToken returns what is stored of a token. It refuses what NewToken cannot
// have made.
func HashToken(token string) ([32]byte, error) {
	body, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok || len(token) != tokenLength {
		return [32]byte{}, errTokenForm
	}
	// Every call comes here: nothing is allocated.
	var whole [tokenLength]byte
	var secret [32]byte
	copy(whole[:], token)
	n, err := tokenEncoding.Decode(secret[:], whole[len(token)-len(body):])
	if err != nil || n != len(secret) {
		return [32]byte{}, errTokenForm
	}
	return sha256.Sum256(whole[:]), nil
}

// tokenEncoding also refuses the second spelling of the last character. Line
// breaks, which it would skip, leave too few bytes.
var tokenEncoding = base64.RawURLEncoding.Strict()

// parseBearer reads the value of an Authorization header.
func parseBearer(value string) ([32]byte, error) {
	scheme, token, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return [32]byte{}, errors.New("the authorization is no bearer token")
	}
	return HashToken(token)
}
