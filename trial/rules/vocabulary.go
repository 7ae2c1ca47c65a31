package rules

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/trialnotary/trialnotary/trial"
)

// field is a word of the vocabulary: how it is read from a T.
type field[T any] struct {
	typ *cel.Type
	get func(T) ref.Val
}

var (
	factsType    = cel.ObjectType("Facts")
	decisionType = cel.ObjectType("Decision")
	actType      = cel.ObjectType("Act")
	charterType  = cel.ObjectType("Charter")
	paramsType   = cel.ObjectType("Params")
)

func boolean[T any](get func(T) bool) field[T] {
	return field[T]{cel.BoolType, func(t T) ref.Val { return types.Bool(get(t)) }}
}

func integer[T any](get func(T) int64) field[T] {
	return field[T]{cel.IntType, func(t T) ref.Val { return types.Int(get(t)) }}
}

func text[T any](get func(T) string) field[T] {
	return field[T]{cel.StringType, func(t T) ref.Val { return types.String(get(t)) }}
}

func texts[T any](get func(T) []string) field[T] {
	return field[T]{cel.ListType(cel.StringType), func(t T) ref.Val {
		return types.NewStringList(types.DefaultTypeAdapter, get(t))
	}}
}

func idText(id trial.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// factsWords are facts.NAME: see trial.Facts.
var factsWords = map[string]field[*trial.Facts]{
	"protocolLogged":         boolean(func(f *trial.Facts) bool { return f.ProtocolLogged }),
	"registered":             boolean(func(f *trial.Facts) bool { return f.Registered }),
	"registeredDaysAfter":    integer(func(f *trial.Facts) int64 { return f.RegisteredDaysAfter }),
	"firstOfTrial":           boolean(func(f *trial.Facts) bool { return f.FirstOfTrial }),
	"hasHead":                boolean(func(f *trial.Facts) bool { return f.HasHead }),
	"head":                   text(func(f *trial.Facts) string { return idText(f.Head) }),
	"supersedes":             boolean(func(f *trial.Facts) bool { return f.Supersedes }),
	"supersedesHead":         boolean(func(f *trial.Facts) bool { return f.SupersedesHead }),
	"supersedesAncestor":     boolean(func(f *trial.Facts) bool { return f.SupersedesAncestor }),
	"supersedesBaseline":     boolean(func(f *trial.Facts) bool { return f.SupersedesBaseline }),
	"branch":                 boolean(func(f *trial.Facts) bool { return f.Branch }),
	"sapInEffect":            boolean(func(f *trial.Facts) bool { return f.SAPInEffect }),
	"exempt":                 boolean(func(f *trial.Facts) bool { return f.Exempt }),
	"icfEffective":           boolean(func(f *trial.Facts) bool { return f.ICFEffective }),
	"sealed":                 boolean(func(f *trial.Facts) bool { return f.Sealed }),
	"commitmentMatches":      boolean(func(f *trial.Facts) bool { return f.CommitmentMatches }),
	"lockInEffect":           boolean(func(f *trial.Facts) bool { return f.LockInEffect }),
	"locked":                 boolean(func(f *trial.Facts) bool { return f.Locked }),
	"insideUnlock":           boolean(func(f *trial.Facts) bool { return f.InsideUnlock }),
	"unlockOpen":             boolean(func(f *trial.Facts) bool { return f.UnlockOpen }),
	"lineageToLock":          boolean(func(f *trial.Facts) bool { return f.LineageToLock }),
	"lineageSupersededLock":  boolean(func(f *trial.Facts) bool { return f.LineageSupersededLock }),
	"unblinded":              boolean(func(f *trial.Facts) bool { return f.Unblinded }),
	"unblindingExempt":       boolean(func(f *trial.Facts) bool { return f.UnblindingExempt }),
	"emergencySecondMissing": boolean(func(f *trial.Facts) bool { return f.EmergencySecondMissing }),
	"secondLock":             boolean(func(f *trial.Facts) bool { return f.SecondLock }),
	"membersMissing":         texts(func(f *trial.Facts) []string { return f.MembersMissing }),
	"membersStale":           texts(func(f *trial.Facts) []string { return f.MembersStale }),
	"membersOutside":         texts(func(f *trial.Facts) []string { return f.MembersOutside }),
	"gapDays":                integer(func(f *trial.Facts) int64 { return f.GapDays }),
	"seriesOverdue":          texts(func(f *trial.Facts) []string { return f.SeriesOverdue }),
	"aheadSeconds":           integer(func(f *trial.Facts) int64 { return f.AheadSeconds }),
	"behindDays":             integer(func(f *trial.Facts) int64 { return f.BehindDays }),
	"migration":              boolean(func(f *trial.Facts) bool { return f.Migration }),
	"firstMigration":         boolean(func(f *trial.Facts) bool { return f.FirstMigration }),
	"pendingTooLong":         boolean(func(f *trial.Facts) bool { return f.PendingTooLong }),
	"missingRoles":           texts(func(f *trial.Facts) []string { return f.MissingRoles }),
	"decisions": {cel.ListType(decisionType), func(f *trial.Facts) ref.Val {
		vals := make([]ref.Val, len(f.Decisions))
		for i := range f.Decisions {
			vals[i] = object{decisionType, &f.Decisions[i]}
		}
		return types.NewRefValList(types.DefaultTypeAdapter, vals)
	}},
}

// decisionWords are the fields of an element of facts.decisions.
var decisionWords = map[string]field[*trial.DecisionFact]{
	"version":       text(func(d *trial.DecisionFact) string { return idText(d.Version) }),
	"known":         boolean(func(d *trial.DecisionFact) bool { return d.Known }),
	"found":         boolean(func(d *trial.DecisionFact) bool { return d.Found }),
	"date":          text(func(d *trial.DecisionFact) string { return d.Date }),
	"effectiveDate": text(func(d *trial.DecisionFact) string { return d.EffectiveDate }),
	"datedInTime":   boolean(func(d *trial.DecisionFact) bool { return d.DatedInTime }),
	"loggedInTime":  boolean(func(d *trial.DecisionFact) bool { return d.LoggedInTime }),
}

// actWords are act.NAME: what the statement says.
var actWords = map[string]field[*trial.Act]{
	"id":           text(func(a *trial.Act) string { return a.Statement.ID.String() }),
	"kind":         text(func(a *trial.Act) string { return string(a.Statement.Predicate.Kind) }),
	"site":         text(func(a *trial.Act) string { return a.Statement.Predicate.Site }),
	"version":      text(func(a *trial.Act) string { return a.Statement.Predicate.Version }),
	"document":     text(func(a *trial.Act) string { return documentOf(a).ID }),
	"scope":        text(func(a *trial.Act) string { return documentOf(a).Scope }),
	"language":     text(func(a *trial.Act) string { return documentOf(a).Language }),
	"reason":       text(func(a *trial.Act) string { return a.Statement.Predicate.Reason }),
	"supersedes":   text(func(a *trial.Act) string { return idText(a.Statement.Predicate.Supersedes) }),
	"meaning":      text(func(a *trial.Act) string { return string(a.Statement.Predicate.Meaning) }),
	"role":         text(func(a *trial.Act) string { return string(a.Statement.Predicate.Signer.Role) }),
	"organisation": text(func(a *trial.Act) string { return a.Statement.Predicate.Signer.Organisation }),
	"holder":       text(func(a *trial.Act) string { return a.Standing.HolderID }),
	"hasDeclared":  boolean(func(a *trial.Act) bool { return a.Statement.Predicate.Declared != nil }),
	"files":        integer(func(a *trial.Act) int64 { return int64(len(a.Statement.Subjects)) }),
	"lineage":      integer(func(a *trial.Act) int64 { return int64(len(a.Statement.Predicate.Lineage)) }),
	"purpose":      text(func(a *trial.Act) string { return string(dataOf(a).Purpose) }),
	"origin":       text(func(a *trial.Act) string { return string(dataOf(a).Origin) }),
	"dataset":      text(func(a *trial.Act) string { return dataOf(a).Dataset }),
	"sourceSystem": text(func(a *trial.Act) string { return dataOf(a).SourceSystem }),
	"final":        boolean(func(a *trial.Act) bool { return dataOf(a).Final }),
	"unblinding":   text(func(a *trial.Act) string { return string(unblindingOf(a).Scope) }),
	"emergency":    boolean(func(a *trial.Act) bool { return unblindingOf(a).Emergency }),
	"lockType":     text(func(a *trial.Act) string { return string(lockOf(a).Type) }),
	"label":        text(func(a *trial.Act) string { return lockOf(a).Label }),
	"members":      integer(func(a *trial.Act) int64 { return int64(len(lockOf(a).Members)) }),
}

// charterWords are charter.NAME.
var charterWords = map[string]field[*trial.CharterBody]{
	"sponsorOrganisation": text(func(b *trial.CharterBody) string { return b.SponsorOrganisation }),
	"randomisationList":   boolean(func(b *trial.CharterBody) bool { return b.RandomisationList }),
	"unblindingExempt":    texts(func(b *trial.CharterBody) []string { return b.UnblindingExempt }),
	"sites": texts(func(b *trial.CharterBody) []string {
		ids := make([]string, len(b.Sites))
		for i, s := range b.Sites {
			ids[i] = s.ID
		}
		return ids
	}),
}

// bodyOf returns an act's body of a type, an empty one where it has another.
func bodyOf[T any](a *trial.Act) *T {
	if b, ok := a.Statement.Predicate.Body.(*T); ok && b != nil {
		return b
	}
	return new(T)
}

func dataOf(a *trial.Act) *trial.DataBody             { return bodyOf[trial.DataBody](a) }
func unblindingOf(a *trial.Act) *trial.UnblindingBody { return bodyOf[trial.UnblindingBody](a) }
func lockOf(a *trial.Act) *trial.LockBody             { return bodyOf[trial.LockBody](a) }

func documentOf(a *trial.Act) *trial.Document {
	if d := a.Statement.Predicate.Document; d != nil {
		return d
	}
	return &trial.Document{}
}

// Vocabulary returns the words that an expression can use, sorted: variables, and
// their fields as NAME.FIELD. Those of params are the charter's parameters.
func Vocabulary() []string {
	out := []string{"event", "deadline"}
	for name := range factsWords {
		out = append(out, "facts."+name)
	}
	for name := range decisionWords {
		out = append(out, "decision."+name)
	}
	for name := range actWords {
		out = append(out, "act."+name)
	}
	for name := range charterWords {
		out = append(out, "charter."+name)
	}
	for name := range trial.DefaultParameters() {
		out = append(out, "params."+name)
	}
	slices.Sort(out)
	return out
}
