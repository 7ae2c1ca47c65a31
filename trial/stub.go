package trial

import (
	"errors"
	"time"
)

var errStub = errors.New("not written yet")

// Standing is what a key's holder is in the trial when a statement is judged.
type Standing struct {
	KeyID            KeyID
	HolderID         string
	Holder           HolderType
	Name             string
	Organisation     string
	OrganisationType OrganisationType
	Roles            []Role
	// Enrolment is the statement that enrolled the key; zero for the sponsor's and the recovery key.
	Enrolment ID
	// Since is the index since which the key may sign this.
	Since uint64
}

type Authority struct{}

func NewAuthority(charter *Statement, index uint64) (*Authority, error)    { return nil, errStub }
func (a *Authority) Key(id KeyID) (*PublicKey, bool)                       { return nil, false }
func (a *Authority) Admit(st *Statement, at time.Time) error               { return errStub }
func (a *Authority) Apply(st *Statement, index uint64, at time.Time) error { return errStub }
func (a *Authority) Judge(st *Statement, index uint64, at *time.Time) (Standing, error) {
	return Standing{}, errStub
}
func (a *Authority) Clone() *Authority                  { return nil }
func (a *Authority) Charter() *Statement                { return nil }
func (a *Authority) Sites() []Site                      { return nil }
func (a *Authority) Registry() []string                 { return nil }
func (a *Authority) SponsorName() string                { return "" }
func (a *Authority) SponsorKey() *PublicKey             { return nil }
func (a *Authority) KnownUpTo() uint64                  { return 0 }
func AffectsAuthority(st *Statement, a *Authority) bool { return false }

func LooksLikeParticipantID(s string) bool { return false }
