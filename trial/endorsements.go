package trial

import "maps"

// DefaultEndorsements returns the roles that must endorse an act of a kind before
// it takes effect, where the charter's table says nothing of that kind. The
// author counts for the author's role.
func DefaultEndorsements() map[Kind][]Role {
	document := []Role{RoleSponsorMedical, RoleBiostatistician}
	return map[Kind][]Role{
		KindProtocol:          document,
		KindProtocolAmendment: document,
		KindSAP:               document,
		KindRandomisationSeal: {RoleUnblindedStatistician, RoleQA},
		KindDatabaseLock:      {RoleDataManager, RoleBiostatistician},
		KindDatabaseUnlock:    {RoleDataManager, RoleQA},
	}
}

// RequiredEndorsements returns the roles that must endorse acts of each kind: the
// charter's table over the default one.
func (b *CharterBody) RequiredEndorsements() map[Kind][]Role {
	required := DefaultEndorsements()
	maps.Copy(required, b.Endorsements)
	for kind := range required {
		// Who may sign is the authority's, and an endorsement needs none itself.
		if kind.Folded() || kind == KindEndorsement {
			delete(required, kind)
		}
	}
	return required
}
