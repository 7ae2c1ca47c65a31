package rpc

import (
	"fmt"

	"google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// rule says who may call a method at all. What of it they may see or do is the
// handler's part.
type rule struct {
	// anonymous lets callers without a credential in.
	anonymous bool
	// roles lets authenticated callers in that hold one of them; nil is any.
	roles []Role
	// long calls have no bound in time.
	long bool
}

var (
	anyone      = rule{anonymous: true}
	writers     = rule{roles: []Role{RoleSponsor, RoleSite}}
	readers     = rule{roles: []Role{RoleSponsor, RoleSite, RoleAuditor}}
	longWriters = rule{roles: writers.roles, long: true}
	longReaders = rule{roles: readers.roles, long: true}
	longAnyone  = rule{anonymous: true, long: true}
	// markReaders are the readers, and for the notary's time marks anyone: the
	// handlers refuse an anonymous caller everything else.
	markReaders = rule{anonymous: true, roles: readers.roles}
)

// policy lists every method that the server has. What is not listed is refused.
var policy = map[string]rule{
	notaryv1.NotaryService_Submit_FullMethodName:           writers,
	notaryv1.NotaryService_SubmitStream_FullMethodName:     longWriters,
	notaryv1.NotaryService_GetReceipt_FullMethodName:       markReaders,
	notaryv1.NotaryService_GetStatement_FullMethodName:     markReaders,
	notaryv1.NotaryService_ListStatements_FullMethodName:   readers,
	notaryv1.NotaryService_FindSubject_FullMethodName:      readers,
	notaryv1.NotaryService_GetCheckpoint_FullMethodName:    anyone,
	notaryv1.NotaryService_GetTimeMark_FullMethodName:      anyone,
	notaryv1.NotaryService_GetTrustMaterial_FullMethodName: readers,
	notaryv1.NotaryService_GetTrial_FullMethodName:         readers,
	notaryv1.NotaryService_ListFindings_FullMethodName:     readers,
	notaryv1.NotaryService_GetChronology_FullMethodName:    readers,
	notaryv1.NotaryService_WatchTrial_FullMethodName:       longReaders,
	notaryv1.NotaryService_Verify_FullMethodName:           readers,

	// Health says no more than whether the notary serves; reflection says what
	// the public description of the API says.
	grpc_health_v1.Health_Check_FullMethodName:                             anyone,
	grpc_health_v1.Health_List_FullMethodName:                              anyone,
	grpc_health_v1.Health_Watch_FullMethodName:                             longAnyone,
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName:      anyone,
	reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: anyone,
}

// permit decides whether the caller may call the method.
func permit(method string, u *User) error {
	r, ok := policy[method]
	switch {
	case !ok:
		return notPermitted("no rule permits this method")
	case u == nil && r.anonymous, u != nil && (r.roles == nil || u.has(r.roles...)):
		return nil
	case u == nil:
		return unauthenticated(detailNone)
	}
	return notPermitted(fmt.Sprintf("this call needs one of the roles %v", r.roles))
}

func notPermitted(detail string) error {
	return &trial.Refusal{Reason: reasonNotPermitted, Detail: detail}
}
