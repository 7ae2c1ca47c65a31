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

// ManifestFile is one file of a manifest.
type ManifestFile struct {
	Path    string
	Size    uint64
	Digests map[string]string
}

type Manifest struct{}

func NewManifest(files []ManifestFile, secret []byte) (*Manifest, error) { return nil, errStub }
func ParseManifest(b []byte) (*Manifest, error)                          { return nil, errStub }
func (m *Manifest) Marshal() []byte                                      { return nil }
func (m *Manifest) Root() [32]byte                                       { return [32]byte{} }
func (m *Manifest) Len() uint64                                          { return 0 }
func (m *Manifest) Files() []ManifestFile                                { return nil }
func (m *Manifest) Has(path string) bool                                 { return false }
func (m *Manifest) Subject(name string) Subject                          { return Subject{} }
func (m *Manifest) ProveFile(path string) ([]byte, error)                { return nil, errStub }

type ManifestProof struct{}

func ParseManifestProof(b []byte) (*ManifestProof, error)       { return nil, errStub }
func (p *ManifestProof) Verify(root string, files uint64) error { return errStub }
func (p *ManifestProof) Path() string                           { return "" }
func (p *ManifestProof) Size() uint64                           { return 0 }
func (p *ManifestProof) SHA256() [32]byte                       { return [32]byte{} }

func LooksLikeParticipantID(s string) bool { return false }
