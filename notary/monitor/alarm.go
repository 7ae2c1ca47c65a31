package monitor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Kind is what an alarm is about. The names are part of the JSON output.
type Kind string

// The kinds of alarms.
const (
	// KindRolledBack: the log has fewer entries than it signed before.
	KindRolledBack Kind = "log-rolled-back"
	// KindForked: the log signed two histories that exclude each other.
	KindForked Kind = "log-forked"
	// KindCheckpoint: what the log shows as its checkpoint is not signed by the
	// keys of the trust folder.
	KindCheckpoint Kind = "checkpoint-invalid"
	// KindLogFiles: the log's public files are not those of its checkpoint.
	KindLogFiles Kind = "log-files-differ"
	// KindStale: no new checkpoint could be read, or none came, for too long.
	KindStale Kind = "checkpoint-stale"
	// KindEntryForm: an entry of a form that names no signer.
	KindEntryForm Kind = "entry-unreadable"
	// KindUndisclosed: an entry that an enrolled key of the trial signed, and the
	// notary shows no statement to it.
	KindUndisclosed Kind = "entry-undisclosed"
	// KindNoEntry: a statement that the notary shows has not the entry in the log
	// that it should have.
	KindNoEntry Kind = "statement-without-entry"
	// KindReceipt: the notary hands out a receipt that does not hold.
	KindReceipt Kind = "receipt-invalid"
	// KindWithheld: the notary showed a statement before, and shows it no more.
	KindWithheld Kind = "statement-withheld"
	// KindTimeMark: a statement has another log time than the time marks give it,
	// or a time mark is not to be had.
	KindTimeMark Kind = "time-mark-differs"
	// KindTrust: the notary's trust folder has other anchors, or lacks an
	// enrolment or revocation that it held before.
	KindTrust Kind = "trust-differs"
	// KindFindings: the notary's findings are not those of its statements.
	KindFindings Kind = "findings-differ"
	// KindRulePack: the charter's rule pack is not at hand, so that findings
	// cannot be computed.
	KindRulePack Kind = "rule-pack-unknown"
	// KindEnrolment: a key was enrolled in the name of the monitor's site.
	KindEnrolment Kind = "key-enrolled"
)

// Kinds returns all kinds of alarms.
func Kinds() []Kind {
	return []Kind{
		KindRolledBack, KindForked, KindCheckpoint, KindLogFiles, KindStale, KindEntryForm, KindUndisclosed, KindNoEntry,
		KindReceipt, KindWithheld, KindTimeMark, KindTrust, KindFindings, KindRulePack, KindEnrolment,
	}
}

// lasting tells whether an alarm of that kind stays although what it says is not
// seen again: a proof of a fork does not go away.
func (k Kind) lasting() bool {
	return slices.Contains([]Kind{KindRolledBack, KindForked, KindEntryForm, KindEnrolment}, k)
}

// Status is what became of an alarm.
type Status string

// The statuses of an alarm.
const (
	StatusOpen         Status = "open"
	StatusResolved     Status = "resolved"
	StatusAcknowledged Status = "acknowledged"
)

// Alarm is something that is wrong, or that somebody has to know.
type Alarm struct {
	// ID names the alarm: the same for the same kind and subject.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	// Index is the place in the log that it is about, and Statement the
	// statement; absent where there is none.
	Index     *uint64 `json:"logIndex,omitzero"`
	Statement string  `json:"statementId,omitzero"`
	// Detail says in plain words what is wrong.
	Detail string `json:"detail"`
	// Since is when the monitor saw it first, Seen when it saw it last, by its own
	// clock.
	Since  time.Time `json:"since"`
	Seen   time.Time `json:"seen"`
	Status Status    `json:"status"`
	// Ended is when it was resolved or acknowledged, and Note what was said then.
	Ended time.Time `json:"ended,omitzero"`
	Note  string    `json:"note,omitzero"`
	// Leaf is the hash of the entry that an undisclosed statement must fit.
	Leaf string `json:"leaf,omitzero"`
}

// subject is what an alarm is about.
type subject struct {
	index     *uint64
	statement string
	leaf      string
	// name tells alarms of one kind apart that are about neither.
	name string
}

func at(index uint64) subject { return subject{index: &index} }

func (s subject) key() string {
	index := ""
	if s.index != nil {
		index = strconv.FormatUint(*s.index, 10)
	}
	return index + "/" + s.statement + "/" + s.name
}

func alarmID(kind Kind, s subject) string {
	sum := sha256.Sum256([]byte(string(kind) + "/" + s.key()))
	return hex.EncodeToString(sum[:8])
}

// Limits of what is kept.
const (
	// maxOpen bounds the alarms of one kind that are kept one by one. Beyond it
	// one stands for all others, and for undisclosed entries the scan waits.
	maxOpen = 1000
	// beyond names the one that stands for others.
	beyond = "more"
	// keptResolved is how many resolved alarms are kept.
	keptResolved = 200
)

// raisef records an alarm; one that is open or acknowledged already is not new.
func (l *look) raisef(kind Kind, s subject, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	id := alarmID(kind, s)
	l.raised[id] = true
	d := l.m.doc
	kept := 0
	for i := range d.Alarms {
		a := &d.Alarms[i]
		if a.Status == StatusResolved {
			continue
		}
		if a.Kind == kind {
			kept++
		}
		if a.ID == id {
			a.Seen, a.Detail = l.now, detail
			return
		}
	}
	// A notary can name things without end. Undisclosed entries stay one by one:
	// the scan waits for those.
	if kept >= maxOpen && kind != KindUndisclosed && s.name != beyond {
		l.more[kind]++
		l.raisef(kind, subject{name: beyond}, "%d more alarms of this kind are not kept one by one; the last: %s", l.more[kind], detail)
		return
	}
	d.Alarms = slices.DeleteFunc(d.Alarms, func(a Alarm) bool { return a.ID == id })
	a := Alarm{
		ID: id, Kind: kind, Index: s.index, Statement: s.statement, Leaf: s.leaf, Detail: detail,
		Since: l.now, Seen: l.now, Status: StatusOpen,
	}
	d.Alarms = append(d.Alarms, a)
	l.fresh = append(l.fresh, a)
	if l.m.cfg.Webhook != nil {
		d.Queue = append(d.Queue, Delivery{Alarm: id, Since: a.Since})
	}
}

// settle resolves the open and acknowledged alarms of a kind that this look
// examined and did not raise.
func (l *look) settle(kinds ...Kind) {
	d := l.m.doc
	for i := range d.Alarms {
		a := &d.Alarms[i]
		if a.Status != StatusResolved && !a.Kind.lasting() && slices.Contains(kinds, a.Kind) && !l.raised[a.ID] {
			a.Status, a.Ended = StatusResolved, l.now
		}
	}
	d.forget()
}

// forget drops the oldest resolved alarms.
func (d *document) forget() {
	resolved := 0
	for _, a := range d.Alarms {
		if a.Status == StatusResolved {
			resolved++
		}
	}
	d.Alarms = slices.DeleteFunc(d.Alarms, func(a Alarm) bool {
		if a.Status == StatusResolved && resolved > keptResolved {
			resolved--
			return true
		}
		return false
	})
}

// open returns the open alarms, those of one kind where kind is not empty.
func (d *document) open(kind Kind) []Alarm {
	var out []Alarm
	for _, a := range d.Alarms {
		if a.Status == StatusOpen && (kind == "" || a.Kind == kind) {
			out = append(out, a)
		}
	}
	return out
}

// ErrNoAlarm means that there is no open alarm of that id.
var ErrNoAlarm = errors.New("no open alarm")
