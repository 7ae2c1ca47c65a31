package trial

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// page makes the examples of docs/statements.md, in the order of the page.
type page struct {
	*world
	told [][]byte

	reg, inv, coord     *Statement // enrolments
	amendment, icf, sap ID
	seal, dataset, lock ID
	list                []byte // the randomisation list
	salt                [32]byte
}

func (s *page) add(st *Statement) *Statement {
	s.t.Helper()
	st = pretty(s.t.(*testing.T), st)
	s.told = append(s.told, st.Payload)
	return st
}

// act adds a statement of an enrolled key. Its subjects are files, or are added
// by who writes it.
func (s *page) act(by *Statement, site string, kind Kind, body any, subjects ...Subject) *Statement {
	s.t.Helper()
	return s.add(s.signed(by, site, kind, body, subjects...))
}

func (s *page) file(name string, c byte) Subject {
	return Subject{Name: name, Digests: SHA256(hash32(hexOf(c)))}
}

func (s *page) committed(name string, content string) Subject {
	s.t.Helper()
	c, err := Commit(s.salt, bytes.NewReader([]byte(content)))
	if err != nil {
		s.t.Fatal(err)
	}
	return Subject{Name: name, Digests: c.Digests()}
}

// ofDocument gives a statement a meaning and the version of a document.
func ofDocument(st *Statement, meaning Meaning, id, version string) *Statement {
	p := &st.Predicate
	p.Meaning, p.Version, p.Document = meaning, version, &Document{ID: id, Language: "en"}
	return st
}

func docStory(t *testing.T) [][]byte {
	t.Helper()
	charter := pretty(t, charterStatement(t))
	s := &page{
		world: &world{t: t, charter: charter}, told: [][]byte{charter.Payload},
		list: []byte("slot,arm\n1,A\n2,B\n"), salt: hash32(hexOf('5')),
	}
	s.keys()
	s.documents()
	s.conduct()
	s.data()
	s.closing()
	s.authorityEnds()
	return s.told
}

func (s *page) keys() {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	s.reg = s.add(s.enrolment("reg", func(b *EnrolmentBody) {
		b.HolderID, b.Name, b.ORCID, b.Roles = "u-17", "Bea Regula", "0000-0002-1825-0097", []Role{RoleRegulatory}
		b.Kinds = nil
		for _, k := range Kinds() {
			if !k.Authority() && k != KindTimeMark {
				b.Kinds = append(b.Kinds, k)
			}
		}
	}, period(from, from.AddDate(2, 0, 0))))
	named := func(id, name string, kinds ...Kind) enrolOption {
		return func(b *EnrolmentBody) {
			b.HolderID, b.Name, b.Organisation = id, name, "Clinic North"
			b.Kinds = slices.Concat(kinds, []Kind{KindEndorsement})
		}
	}
	s.inv = s.add(s.enrolment("inv", ofSite(RoleInvestigator, "701"), named("u-20", "Dr. Ivo North", KindUnblinding)))
	s.coord = s.add(s.enrolment("coord", ofSite(RoleSiteCoordinator, "701"), named("u-21", "Cora North", KindDataset,
		KindVersionEffective, KindFirstParticipant, KindConsentManifest, KindConsentWithdrawal, KindIPEvent)))
	s.add(s.endorsement(s.inv, "701", s.coord.ID))

	cro := s.add(s.enrolment("cro", delegateOf("Acme CRO"), func(b *EnrolmentBody) {
		b.HolderID, b.Name, b.Roles, b.Kinds = "u-30", "Dora Acme", []Role{RoleClinicalOperations}, []Kind{KindKeyEnrolment, KindEndorsement}
	}))
	ends := from.AddDate(3, 0, 0)
	s.add(s.delegation("Acme CRO", from, &ends, "cro"))
	s.add(s.enrolledBy(cro, "cra", func(b *EnrolmentBody) {
		b.HolderID, b.Name, b.Organisation, b.OrganisationType = "u-31", "Cleo Acme", "Acme CRO", OrganisationCRO
		b.Roles, b.Kinds = []Role{RoleMonitor}, []Kind{KindTMFDocument, KindEndorsement}
	}))
	s.add(s.registration("sponsor", RegistryISRCTN, "ISRCTN54460428"))
	s.act(s.reg, "", KindBaseline, &BaselineBody{
		AsOf: "2026-02-28", Registered: true,
		Documents: []BaselineDocument{
			{Kind: KindProtocol, Document: &Document{ID: "TN-001"}, Version: "0.9", Sites: []string{"704"}},
			{Kind: KindICF, Document: &Document{ID: "TN-001-ICF", Language: "en"}, Version: "0.9", Sites: []string{"704"}},
		},
		Participants: []BaselineSite{{Site: "704", First: "2026-01-20"}},
	})
}

func (s *page) documents() {
	protocol := s.add(ofDocument(s.signed(s.reg, "", KindProtocol, &ProtocolBody{Title: "A trial of Examplamab"},
		s.file("protocol-1.0.pdf", '1')), MeaningApproval, "TN-001", "1.0"))
	st := ofDocument(s.signed(s.reg, "", KindProtocolAmendment, &AmendmentBody{Type: AmendmentSubstantial, Countries: []string{"DE", "FR"}},
		s.file("protocol-2.0.pdf", '2')), MeaningApproval, "TN-001", "2.0")
	st.Predicate.Supersedes, st.Predicate.Reason = protocol.ID, "New dose group after the interim analysis"
	s.amendment = s.add(st).ID
	s.icf = s.add(ofDocument(s.signed(s.reg, "", KindICF, &ICFBody{Protocol: s.amendment}, s.file("icf-2.0-de.pdf", '3')),
		MeaningAuthorship, "TN-001-ICF", "2.0")).ID
	st = s.signed(s.reg, "", KindEthicsDecision, &EthicsDecisionBody{
		Committee: "EC North", Reference: "EC/2026/17", Decision: EthicsFavourable, Date: "2026-02-20", Approves: []ID{s.amendment, s.icf},
	}, s.file("ec-letter.pdf", '4'))
	st.Predicate.Meaning = MeaningCertifiedCopy
	s.add(st)
	st = s.signed(s.reg, "", KindAuthorityDecision, &AuthorityDecisionBody{
		Authority: "BfArM", Country: "DE", Reference: "4044321", Decision: EthicsFavourable, Date: "2026-02-24",
		Approves: []ID{s.amendment}, Documents: []DocumentRef{{ID: "TN-001-IB", Version: "5"}},
	}, s.file("authority-letter.pdf", 'b'))
	st.Predicate.Meaning = MeaningCertifiedCopy
	s.add(st)
	s.sap = s.add(ofDocument(s.signed(s.reg, "", KindSAP, &SAPBody{Title: "Statistical analysis plan"}, s.file("sap-1.0.pdf", 'c')),
		MeaningApproval, "TN-001-SAP", "1.0")).ID
	st = s.signed(s.reg, "", KindRandomisationSeal, &SealBody{Scheme: CommitmentScheme}, s.committed("randomisation-list", string(s.list)))
	st.Predicate.Document = &Document{ID: "TN-001-RAND"}
	s.seal = s.add(st).ID
}

func (s *page) conduct() {
	s.act(s.coord, "701", KindVersionEffective, &VersionEffectiveBody{
		Statements: []ID{s.amendment, s.icf}, Date: "2026-03-01", Activation: true,
	})
	s.act(s.coord, "701", KindFirstParticipant, &FirstParticipantBody{ICF: s.icf})
	s.act(s.coord, "701", KindConsentManifest, &ConsentManifestBody{ICF: s.icf, Consents: 12, Cutoff: "2026-02-27"},
		s.committed("consents", "the site's list of consents"))
	s.act(s.coord, "701", KindConsentWithdrawal, &ConsentWithdrawalBody{Withdrawn: 1, Date: "2026-02-26", Scope: WithdrawnFutureData},
		s.committed("withdrawals", "the site's list of withdrawals"))
}

func (s *page) data() {
	extract := time.Date(2026, 2, 28, 22, 0, 0, 0, time.UTC)
	dm := s.file("dm.json", '5')
	dm.Digests = append(dm.Digests, Digest{DigestTable, hash32(hexOf('6'))})
	st := s.signed(s.coord, "701", KindDataset, &DataBody{
		Origin: OriginEDC, Purpose: PurposeLock, Dataset: "DM", SourceSystem: "Example EDC 4.2", ExtractTime: &extract,
		Cutoff: "2026-02-27", Dictionaries: map[string]string{"MedDRA": "28.1"},
	}, dm)
	st.Predicate.Seen = &TreeHead{Origin: "notary.example", Size: 4, Root: hash32(hexOf('7'))}
	s.dataset = s.add(st).ID
	st = s.signed(s.coord, "701", KindDataset, &DataBody{Origin: OriginSite, Purpose: PurposeRoutine},
		Subject{Name: "source", Digests: Digests{{DigestManifest, hash32(hexOf('8'))}}})
	st.Predicate.Manifest = &ManifestInfo{Files: 2041}
	s.add(st)
	st = s.signed(s.reg, "", KindDerivedDataset, &DataBody{Origin: OriginSponsor, Purpose: PurposeInterim, Dataset: "ADSL"}, s.file("adsl.xpt", '9'))
	st.Predicate.Lineage = []ID{s.dataset}
	s.add(st)
	s.act(s.reg, "", KindAuditTrail, &AuditTrailBody{Date: "2026-02-28", Records: 4711, SourceSystem: "Example EDC 4.2"},
		Subject{Name: "audit-trail", Digests: Digests{{DigestAudit, hash32(hexOf('d'))}}}, s.file("audit-2026-02-28.xml", 'e'))
	s.act(s.reg, "701", KindSafetyReport, &SafetyReportBody{Type: SafetySUSAR, Received: "2026-02-25", Country: "DE", Reference: "DE-SPONSOR-26001"},
		s.file("susar.xml", 'f'))
	item := "https://id.gs1.org/01/09521141012345/21/7021"
	shipped := time.Date(2026, 2, 20, 14, 0, 0, 0, time.UTC)
	s.act(s.reg, "701", KindIPEvent, &IPEventBody{
		Event: IPShipment, EventID: "urn:uuid:9f1c2f0e-7a43-4a0c-9a63-0f4c6d1d2b11", Items: []string{item, "106141412345678908"},
		Source: "4012345000009", Destination: "701", Time: &shipped,
	}, s.file("shipment.json", '1'))
	s.act(s.coord, "701", KindIPEvent, &IPEventBody{
		Event: IPReceipt, Items: []string{item}, Source: "4012345000009", Destination: "701",
	}, s.file("receipt.json", '2'))
	s.act(s.reg, "", KindTMFDocument, &TMFBody{Artifact: "05.02.01", Title: "Site selection report", Date: "2026-01-15"},
		s.file("selection.pdf", 'a'))
}

func (s *page) closing() {
	s.act(s.reg, "", KindLastVisit, &LastVisitBody{})
	s.lock = s.act(s.reg, "", KindDatabaseLock, &LockBody{
		Label: "Lock 1", Type: LockFinal, Scope: DataScope{Datasets: []string{"DM"}}, Members: []ID{s.dataset},
	}, s.file("lock-1.json", '3')).ID
	st := s.signed(s.reg, "", KindDatabaseUnlock, &UnlockBody{Lock: s.lock, Scope: DataScope{Sites: []string{"701"}, Datasets: []string{"DM"}}})
	st.Predicate.Reason = "A date of birth was entered with the wrong year"
	s.add(st)
	st = s.signed(s.inv, "701", KindUnblinding, &UnblindingBody{Scope: UnblindParticipant, Emergency: true},
		s.committed("participant", "the participant's id"))
	st.Predicate.Reason = "The treating physician needs the allocation"
	s.add(st)
	s.act(s.reg, "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial})
	revealed := s.committed("randomisation-list.csv", string(s.list))
	revealed.Digests = append(SHA256(hash32(hexOf('4'))), revealed.Digests...)
	s.act(s.reg, "", KindRandomisationReveal, &RevealBody{Seal: s.seal, Salt: s.salt}, revealed)
	st = s.signed(s.reg, "", KindVerification, &VerificationBody{
		Statements: []ID{s.dataset}, Verdict: VerdictSameData, Note: "Exported again; every cell agrees",
	}, s.file("dm-2026.json", '6'))
	st.Predicate.Meaning = MeaningVerification
	s.add(st)
	s.act(s.reg, "", KindFindingResponse, &FindingResponseBody{
		Rule: "R14", Statement: s.sap, Cause: "The biostatistician was on leave", CAPA: "CAPA-2026-003",
	})
	s.act(s.reg, "", KindTransfer, &TransferBody{From: "Sponsor AG", To: "Pharma SE", Date: "2026-02-28", What: TransferSponsorship},
		s.file("transfer-agreement.pdf", '7'))
	st = s.signed(s.reg, "", KindRedaction, &RedactionBody{Statement: s.dataset, LegalBasis: "GDPR article 17(1)(d)"})
	st.Predicate.Reason = "A file's name held an identifier"
	s.add(st)
	s.act(s.reg, "701", KindCloseout, &CloseoutBody{})
}

func (s *page) authorityEnds() {
	since := uint64(len(s.told) - 2)
	revocation := s.add(s.revocation("reg", &since))
	s.add(s.recovery("sponsor2", since, revocation.ID))
	mark, err := NewTimeMark(publicKey(s.t, "notary").ID, TimeMarkBody{
		Origin: "notary.example", Time: testTime, Size: uint64(len(s.told)), Root: hash32(hexOf('b')),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.add(mark)
}
