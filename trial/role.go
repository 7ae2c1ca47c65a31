package trial

import (
	"slices"
	"strings"
)

// Role is what a key's holder does in the trial.
type Role string

// The closed list of roles. A charter may add its own.
const (
	RoleSponsorMedical        Role = "sponsor-medical"
	RoleBiostatistician       Role = "biostatistician"
	RoleUnblindedStatistician Role = "unblinded-statistician"
	RoleQA                    Role = "qa"
	RoleDataManager           Role = "data-manager"
	RoleRegulatory            Role = "regulatory"
	RoleMonitor               Role = "monitor"
	RoleClinicalOperations    Role = "clinical-operations"
	RoleEDCSystem             Role = "edc-system"
	RoleLabSystem             Role = "lab-system"
	RoleSponsorSystem         Role = "sponsor-system"
	RoleInvestigator          Role = "investigator"
	RoleSiteCoordinator       Role = "site-coordinator"
	RoleSiteSystem            Role = "site-system"
)

// The roles of keys that are not enrolled.
const (
	RoleSponsor  Role = "sponsor"  // the charter's sponsor key, and what replaces it
	RoleRecovery Role = "recovery" // the charter's recovery key
	RoleNotary   Role = "notary"   // the notary's key for time marks
)

var roles = []Role{
	RoleSponsorMedical, RoleBiostatistician, RoleUnblindedStatistician, RoleQA, RoleDataManager, RoleRegulatory,
	RoleMonitor, RoleClinicalOperations, RoleEDCSystem, RoleLabSystem, RoleSponsorSystem, RoleInvestigator,
	RoleSiteCoordinator, RoleSiteSystem,
}

// Roles returns the closed list of roles that an enrolment may give.
func Roles() []Role { return slices.Clone(roles) }

// ofSite tells whether only a holder at a site has the role.
func (r Role) ofSite() bool {
	return r == RoleInvestigator || strings.HasPrefix(string(r), "site-")
}

// ofSystem tells whether only a system has the role.
func (r Role) ofSystem() bool { return strings.HasSuffix(string(r), "-system") }

// knownRole tells whether an enrolment may give the role.
func knownRole(r Role, extra []Role) bool {
	return slices.Contains(roles, r) || slices.Contains(extra, r)
}
