package trial

import (
	"sort"
	"time"
)

// documents is the part of the state about versions and their approval.
type documents struct {
	protocolLogged bool

	heads map[docKey]head
	order []docKey // of heads, as they began
	plans int      // analysis plans that took effect

	byID  map[siteVersion]*approvals
	byRef map[siteRef]*approvals

	effective map[siteDocument]effectiveVersion
	uses      []siteDocument      // the keys of effective, as they began
	consents  map[string]struct{} // sites where a consent form is effective, "" for all
}

func (d *documents) begin() {
	d.heads = map[docKey]head{}
	d.byID, d.byRef = map[siteVersion]*approvals{}, map[siteRef]*approvals{}
	d.effective = map[siteDocument]effectiveVersion{}
	d.consents = map[string]struct{}{}
}

// docKey names a document across its versions.
type docKey struct {
	family              Kind // KindProtocol for amendments too
	id, scope, language string
	site                string // whose own the versions are; "" for none
}

// version is a version of a document.
type version struct {
	act   *Act
	key   docKey
	label string // predicate.version
}

// head is the version of a document that is in effect.
type head struct {
	id    ID // of the statement, or of the baseline that names it
	label string
	act   *Act
	since uint64
}

// siteVersion is a version at a site; "" is the trial.
type siteVersion struct {
	site    string
	version ID
}

type siteRef struct {
	site string
	ref  DocumentRef
}

// siteDocument is a document in use at a site: there the scope of its version does
// not matter.
type siteDocument struct {
	site, id, language string
	family             Kind
}

type effectiveVersion struct {
	id    ID
	label string
	act   *Act // that said so
	date  string
}

// familyOf returns the kind that a chain of versions is counted under, "" where
// versions of a kind form none.
func familyOf(k Kind) Kind {
	switch k {
	case KindProtocol, KindProtocolAmendment:
		return KindProtocol
	case KindICF, KindSAP:
		return k
	default:
		return ""
	}
}

func documentKey(family Kind, d *Document, site string) docKey {
	if d == nil {
		return docKey{family: family, site: site}
	}
	return docKey{family, d.ID, d.Scope, d.Language, site}
}

func (k docKey) at(site string) siteDocument { return siteDocument{site, k.id, k.language, k.family} }

// sameChain tells whether two keys are of one document, whatever their scopes and
// sites.
func (k docKey) sameChain(other docKey) bool {
	k.scope, k.site, other.scope, other.site = "", "", "", ""
	return k == other
}

// branchOf tells whether versions of k may start from any version of another key:
// they are a country's, a cohort's or a site's own. What is for the whole trial
// follows its own versions only.
func (k docKey) branchOf(other docKey) bool {
	return k.sameChain(other) && k != other && (k.scope != "" || k.site != "")
}

// replace makes a version the head of its document.
func (d *documents) replace(v *version) {
	d.setHead(v.key, head{v.act.Statement.ID, v.label, v.act, v.act.EffectIndex})
}

func (d *documents) setHead(key docKey, h head) {
	if _, known := d.heads[key]; !known {
		d.order = append(d.order, key)
	}
	d.heads[key] = h
	if key.family == KindSAP {
		d.plans++
	}
}

// takeOver makes the documents of a baseline heads and effective.
func (d *documents) takeOver(b *baseline) {
	for i := range b.body.Documents {
		doc := &b.body.Documents[i]
		family := familyOf(doc.Kind)
		if family == "" {
			continue
		}
		key := documentKey(family, doc.Document, "")
		id := b.act.Statement.ID
		d.setHead(key, head{id, doc.Version, b.act, b.act.EffectIndex})
		if family == KindSAP {
			continue // is not used at sites
		}
		sites := doc.Sites
		if len(sites) == 0 {
			sites = []string{""}
		}
		for _, site := range sites {
			d.use(key.at(site), effectiveVersion{id, doc.Version, b.act, b.body.AsOf})
		}
	}
}

// use makes a version effective at a site.
func (d *documents) use(at siteDocument, v effectiveVersion) {
	if _, known := d.effective[at]; !known {
		d.uses = append(d.uses, at)
	}
	d.effective[at] = v
	if at.family == KindICF {
		d.consents[at.site] = struct{}{}
	}
}

// makeEffective makes the versions effective that an act names, where they are
// logged.
func (s *State) makeEffective(act *Act) {
	b, ok := act.Statement.Predicate.Body.(*VersionEffectiveBody)
	if !ok {
		return
	}
	site := act.Statement.Predicate.Site
	for _, id := range b.Statements {
		if v, ok := s.records[id].what.(*version); ok {
			s.documents.use(v.key.at(site), effectiveVersion{id, v.label, act, effectiveDate(act.Statement, b)})
		}
	}
	if at := s.conduct.site(site); b.Activation && at.activated == nil {
		at.activated = act
	}
}

// effectiveDate returns the day from which versions are effective. Where the
// statement gives none it is the declared time's, in UTC: the rules of time zones
// change, and everybody must come to the same date.
func effectiveDate(st *Statement, b *VersionEffectiveBody) string {
	switch {
	case b.Date != "":
		return b.Date
	case st.Predicate.Declared != nil:
		return st.Predicate.Declared.UTC.Format(time.DateOnly)
	}
	return ""
}

// consentEffective tells whether a consent form is effective at a site. The zero
// id is any.
func (s *State) consentEffective(site string, id ID) bool {
	d := &s.documents
	if id.IsZero() {
		_, here := d.consents[site]
		_, everywhere := d.consents[""]
		return here || everywhere
	}
	switch w := s.records[id].what.(type) {
	case *version:
		return w.key.family == KindICF && d.inUse(w.key, site) == id
	case *baseline:
		for i := range w.body.Documents {
			doc := &w.body.Documents[i]
			if doc.Kind == KindICF && d.inUse(documentKey(KindICF, doc.Document, ""), site) == id {
				return true
			}
		}
	}
	return false
}

// inUse returns the version of a document that is effective at a site.
func (d *documents) inUse(key docKey, site string) ID {
	if v, ok := d.effective[key.at(site)]; ok {
		return v.id
	}
	return d.effective[key.at("")].id
}

// approvals are the favourable decisions on one version for one site, since the
// last one that took approval away. best are those that may matter while none of
// them is ended from elsewhere: each took effect later and is dated earlier than
// the one before.
type approvals struct {
	all, best []approval
	// ended is the index of the last decision that took approval away.
	ended uint64
}

type approval struct {
	date  string
	at    time.Time // log time
	index uint64    // where it took effect
}

// decide folds a decision of an ethics committee that takes effect.
func (s *State) decide(act *Act) {
	b, ok := act.Statement.Predicate.Body.(*EthicsDecisionBody)
	if !ok {
		return
	}
	d, site := &s.documents, act.Statement.Predicate.Site
	for _, id := range b.Approves {
		k := siteVersion{site, id}
		if d.byID[k] == nil {
			d.byID[k] = new(approvals)
		}
		d.byID[k].add(act, b)
	}
	for _, ref := range b.Documents {
		k := siteRef{site, ref}
		if d.byRef[k] == nil {
			d.byRef[k] = new(approvals)
		}
		d.byRef[k].add(act, b)
	}
}

func (a *approvals) add(act *Act, b *EthicsDecisionBody) {
	switch b.Decision {
	case EthicsFavourable, EthicsConditional, EthicsAcknowledged, EthicsNotRequired:
		found := approval{b.Date, act.Time, act.EffectIndex}
		a.all = append(a.all, found)
		if len(a.best) == 0 || b.Date < a.best[len(a.best)-1].date {
			a.best = append(a.best, found)
		}
	case EthicsUnfavourable, EthicsWithdrawn:
		*a = approvals{ended: act.EffectIndex}
	case EthicsRequestsChange: // decides nothing yet
	}
}

// find returns the approval that serves a version best which is effective from
// date on: one dated in time and first in effect, else the one dated first. Those
// in effect up to after count no more.
func (a *approvals) find(date string, after uint64) (approval, bool) {
	if a == nil || len(a.all) == 0 {
		return approval{}, false
	}
	if a.all[0].index > after {
		best := a.best
		if i := sort.Search(len(best), func(i int) bool { return best[i].date <= date }); i < len(best) {
			return best[i], true
		}
		return best[len(best)-1], true
	}
	var found approval
	ok := false
	for _, c := range a.all[sort.Search(len(a.all), func(i int) bool { return a.all[i].index > after }):] {
		if !ok || c.better(found, date) {
			found, ok = c, true
		}
	}
	return found, ok
}

// approval finds the approval of a version for a site: given for the site or for
// the trial, by its id or by its document's id and version. What ended it at the
// site ends there what the trial has, too.
func (s *State) approval(site string, id ID, date string) (found approval, ok bool) {
	d := &s.documents
	here, wide := d.byID[siteVersion{site, id}], d.byID[siteVersion{"", id}]
	var hereRef, wideRef *approvals
	if v, known := s.records[id].what.(*version); known && v.key.id != "" && v.label != "" {
		ref := DocumentRef{v.key.id, v.label}
		hereRef, wideRef = d.byRef[siteRef{site, ref}], d.byRef[siteRef{"", ref}]
	}
	var ended uint64
	all := []*approvals{here, hereRef, wide, wideRef}
	for _, a := range all {
		if a != nil {
			ended = max(ended, a.ended)
		}
	}
	for _, a := range all {
		if c, is := a.find(date, ended); is && (!ok || c.better(found, date)) {
			found, ok = c, true
		}
	}
	return found, ok
}

// better tells whether an approval serves a date better than another.
func (a approval) better(b approval, date string) bool {
	switch inTime, other := a.date <= date, b.date <= date; {
	case inTime != other:
		return inTime
	case inTime:
		return a.index < b.index
	}
	return a.date < b.date
}
