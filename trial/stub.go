package trial

import (
	"crypto"
	"errors"
	"time"
)

var errStub = errors.New("not written yet")

func ParseEnvelope(b []byte) (*Envelope, error)                  { return nil, errStub }
func Open(b []byte) (*Envelope, *Statement, error)               { return nil, nil, errStub }
func (e *Envelope) Marshal() []byte                              { return nil }
func (e *Envelope) PAE() []byte                                  { return nil }
func PAE(payloadType string, payload []byte) []byte              { return nil }
func (e *Envelope) Verify(key *PublicKey) error                  { return errStub }
func Sign(priv crypto.Signer, payload []byte) (*Envelope, error) { return nil, errStub }

func NewPublicKey(pub crypto.PublicKey) (*PublicKey, error)   { return nil, errStub }
func ParsePublicKeyDER(der []byte) (*PublicKey, error)        { return nil, errStub }
func ParsePublicKeyPEM(text []byte) (*PublicKey, error)       { return nil, errStub }
func (k *PublicKey) PEM() []byte                              { return nil }
func GenerateKey() (crypto.Signer, error)                     { return nil, errStub }
func ParsePrivateKeyPEM(text []byte) (crypto.Signer, error)   { return nil, errStub }
func MarshalPrivateKeyPEM(priv crypto.Signer) ([]byte, error) { return nil, errStub }

func ParseStatement(payload []byte) (*Statement, error)            { return nil, errStub }
func MarshalStatement(st *Statement) ([]byte, error)               { return nil, errStub }
func NewTimeMark(key KeyID, body TimeMarkBody) (*Statement, error) { return nil, errStub }

// SignPossession signs a *CharterBody, *EnrolmentBody or *RecoveryBody without its proofs.
func SignPossession(priv crypto.Signer, charter ID, body any) ([]byte, error) { return nil, errStub }

type AsOf struct {
	Charter   ID
	Origin    string
	Size      uint64
	Root      [32]byte
	Authority []ID
}

func SignAsOf(priv crypto.Signer, list *AsOf) (*Envelope, error) { return nil, errStub }
func ParseAsOfEnvelope(b []byte) (*Envelope, error)              { return nil, errStub }
func ParseAsOf(env *Envelope, notary *PublicKey) (*AsOf, error)  { return nil, errStub }

type Registry map[string]string

func (r Registry) Normalise() []string             { return nil }
func NormaliseRegistryNumber(number string) string { return number }
func CheckIdentifier(scheme, value string) error   { return errStub }

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
