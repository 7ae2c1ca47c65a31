package trial

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// Commitment is the SHA-256 of a salt of 32 random bytes and of what is committed
// to. Without the salt nobody can guess what that is, however short: a list that
// was drawn from a small seed can be enumerated. Its text form is 64 lowercase
// hexadecimal characters.
type Commitment [32]byte

// Commit returns the commitment to everything that r holds. salt must be random
// and kept: who has it and the file can open the commitment.
func Commit(salt [32]byte, r io.Reader) (Commitment, error) {
	h := sha256.New()
	h.Write(salt[:])
	if _, err := io.Copy(h, r); err != nil {
		return Commitment{}, fmt.Errorf("reading what is committed to: %w", err)
	}
	return Commitment(h.Sum(nil)), nil
}

// ParseCommitment reads 64 lowercase hexadecimal characters.
func ParseCommitment(s string) (Commitment, error) {
	d, err := parseHex32(s)
	if err != nil {
		return Commitment{}, fmt.Errorf("invalid commitment: %w", err)
	}
	return Commitment(d), nil
}

// Digests returns the digests of what has this commitment only.
func (c Commitment) Digests() Digests { return Digests{{Name: DigestCommitment, Sum: c}} }

// String returns 64 lowercase hexadecimal characters.
func (c Commitment) String() string { return hex.EncodeToString(c[:]) }

// MarshalText returns the text form.
func (c Commitment) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, c[:]), nil }

// UnmarshalText reads the text form.
func (c *Commitment) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCommitment(string(text))
	return err
}
