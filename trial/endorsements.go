package trial

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
