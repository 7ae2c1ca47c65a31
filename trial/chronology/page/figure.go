package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
)

// Sizes of the figure, in pixels of its own.
const (
	figureWidth = 1240
	gutter      = 128 // for the names of the lanes
	edge        = 16
	slot        = 10 // a mark's room
	maxSlots    = 6  // marks above each other
	flagWidth   = 28
	flagHeight  = 14
	maxFlags    = 4
	axisHeight  = 24
	bandHeight  = 18
	labelHeight = 15
	maxLabels   = 5 // rows of milestones
	charWidth   = 6.1
)

// figure is the timeline, ready to be drawn. Its places are texts, so that every
// machine writes the same.
type figure struct {
	Width, Height  int
	Left, Right    int
	Top, Bottom    int // of the lanes
	AxisTop, AxisY int
	Ticks          []tick
	Lanes          []*lane
	Labels         []label
	Bands          []band
	BandsName      int
	Shades         []shade
	Summary        string
	Crowded        bool // some marks stand for several events
	axis           axis
}

// lane is what concerns one site, or the trial as a whole.
type lane struct {
	Name, Full  string
	Y, Height   int
	TextY       int
	Odd         bool
	Marks       []mark
	Flags       []pennant
	site        string
	slots, rows int
}

// mark is an event, or several at one place.
type mark struct {
	X, Y  string
	Group string
	Count int // of events beyond those drawn; 0 for a mark of one event
	Href  string
	Title string
}

// pennant is a finding, or several at one place.
type pennant struct {
	X, Y     string
	TextX    string
	TextY    string
	Severity trial.Severity
	Text     string
	Href     string
	Title    string
}

// band is a lock, or a part of one that was opened.
type band struct {
	X, Y, Width  string
	Unlock       bool
	Label        string
	TextX, TextY string
	End, Inside  bool // the text ends at TextX, or stands in the band
	Href, Title  string
}

// shade is a band's part of a lane.
type shade struct {
	X, Width string
	Y, H     int
	Unlock   bool
}

// label is a milestone.
type label struct {
	X          string
	TextX      string
	TextY      int
	LineY      int
	End        bool
	Text, Href string
	Title      string
}

func px(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 1, 64), "0"), ".")
}

// draw lays out the timeline; nil where there is nothing to draw.
func draw(r *chronology.Report, anchors map[findingKey]string) *figure {
	from, to, ok := span(r)
	if !ok {
		return nil
	}
	f := &figure{Width: figureWidth, Left: gutter, Right: figureWidth - edge}
	f.axis = newAxis(from, to, gutter, figureWidth-gutter-edge)
	f.Ticks = f.axis.ticks()
	y := 6
	y += f.addLabels(r, y)*labelHeight + 6
	f.AxisTop = y + axisHeight - 8
	y += axisHeight
	f.Top, f.BandsName = y, y+14
	y += f.addBands(r, y)
	y = f.addLanes(r, anchors, y)
	f.addShades(r)
	f.Bottom, f.AxisY = y, y+16
	f.Height = y + axisHeight
	f.Summary = fmt.Sprintf("Timeline of %d events and %d findings from %s to %s UTC, in %d lanes. The tables on this page say the same.",
		len(r.Events), len(r.Findings), timeText(from), timeText(to), len(f.Lanes))
	return f
}

// span returns the first and the last log time.
func span(r *chronology.Report) (from, to time.Time, ok bool) {
	for i := range r.Events {
		t := r.Events[i].Time
		if t.IsZero() {
			continue
		}
		if !ok || t.Before(from) {
			from = t
		}
		if !ok || t.After(to) {
			to = t
		}
		ok = true
	}
	return from, to, ok
}

// groups tells which marks look alike.
var groups = map[trial.Kind]string{
	trial.KindProtocol: "document", trial.KindProtocolAmendment: "document", trial.KindICF: "document", trial.KindSAP: "document",
	trial.KindEthicsDecision: "document", trial.KindAuthorityDecision: "document", trial.KindVersionEffective: "document",
	trial.KindRegistration: "document", trial.KindTMFDocument: "document", trial.KindSafetyReport: "document",
	trial.KindDataset: "data", trial.KindDerivedDataset: "data", trial.KindAuditTrail: "data",
	trial.KindDatabaseLock: "lock", trial.KindDatabaseUnlock: "lock",
	trial.KindFirstParticipant: "participant", trial.KindLastVisit: "participant", trial.KindConsentManifest: "participant",
	trial.KindConsentWithdrawal: "participant", trial.KindCloseout: "participant",
	trial.KindUnblinding: "blinding", trial.KindRandomisationSeal: "blinding", trial.KindRandomisationReveal: "blinding",
}

// ranks tells which marks stay where there is no room for all.
var ranks = map[string]int{"lock": 0, "blinding": 1, "participant": 2, "document": 3, "data": 4, "other": 5}

func group(k trial.Kind) string {
	if g, ok := groups[k]; ok {
		return g
	}
	return "other"
}

// addLanes draws a lane for what concerns the trial as a whole and one for each
// site, and returns where they end.
func (f *figure) addLanes(r *chronology.Report, anchors map[findingKey]string, y int) int {
	bySite := map[string][]int{}
	for i := range r.Events {
		bySite[r.Events[i].Site] = append(bySite[r.Events[i].Site], i)
	}
	f.Lanes = []*lane{{Name: "Sponsor", Full: "Sponsor, and the trial as a whole"}}
	for _, s := range r.Sites {
		f.Lanes = append(f.Lanes, &lane{Name: clip("Site "+s.ID, 18), Full: joinName(s.ID, s.Name), site: s.ID})
	}
	for i, l := range f.Lanes {
		l.Odd = i%2 == 1
		f.place(r, l, bySite[l.site], anchors, y)
		y += l.Height
	}
	return y
}

func joinName(id, name string) string {
	if name == "" {
		return "Site " + id
	}
	return "Site " + id + ", " + name
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// place draws the events of a lane: those that would touch above each other, those
// that count most first, so that they are drawn where there is no room for all.
func (f *figure) place(r *chronology.Report, l *lane, events []int, anchors map[findingKey]string, y int) {
	order := slices.Clone(events)
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(ranks[group(r.Events[a].Kind)], ranks[group(r.Events[b].Kind)])
	})
	var marks, flags shelf
	at, opened := map[int]int{}, []placedFlag(nil)
	var rest []int
	for _, i := range order {
		x := f.axis.x(r.Events[i].Time)
		row := marks.put(x-slot/2, x+slot/2, maxSlots)
		if row < 0 {
			rest = append(rest, i)
			continue
		}
		at[i] = row
		l.slots = max(l.slots, row+1)
	}
	if len(rest) > 0 {
		l.slots, f.Crowded = maxSlots+1, true
	}
	for _, i := range events {
		for _, o := range r.Events[i].Opened {
			opened = append(opened, placedFlag{event: i, ref: o})
		}
	}
	opened = f.shelve(r, &flags, opened)
	for _, p := range opened {
		l.rows = max(l.rows, p.row+1)
	}
	l.Y, l.Height = y, max(l.slots, 1)*slot+l.rows*flagHeight+12
	l.TextY = y + l.Height/2 + 4
	base := float64(y + l.Height - 6 - slot/2)
	for _, i := range events {
		e := &r.Events[i]
		if row, ok := at[i]; ok {
			l.Marks = append(l.Marks, mark{
				X: px(f.axis.x(e.Time)), Y: px(base - float64(row*slot)), Group: group(e.Kind), Href: "#" + eventAnchor(i), Title: describe(e),
			})
		}
	}
	f.rest(r, l, rest, base-maxSlots*slot)
	f.flags(r, l, opened, anchors)
}

// rest counts the events of a lane that found no room.
func (f *figure) rest(r *chronology.Report, l *lane, events []int, y float64) {
	slices.Sort(events)
	for len(events) > 0 {
		x := f.axis.x(r.Events[events[0]].Time)
		n := 1
		for n < len(events) && f.axis.x(r.Events[events[n]].Time) < x+restWidth {
			n++
		}
		l.Marks = append(l.Marks, mark{
			X: px(x), Y: px(y), Group: "more", Count: n, Href: "#" + eventAnchor(events[0]), Title: count(n, "more event") + " here",
		})
		events = events[n:]
	}
}

// restWidth is the room of a number that stands for the marks without room.
const restWidth = 26

// shelf keeps what is drawn in rows apart.
type shelf struct{ rows [][]interval }

type interval struct{ from, to float64 }

// put finds the first row with room and takes it; -1 where none has.
func (s *shelf) put(from, to float64, most int) int {
	for row := range most {
		if row == len(s.rows) {
			s.rows = append(s.rows, nil)
		}
		taken := s.rows[row]
		i, _ := slices.BinarySearchFunc(taken, from, func(v interval, x float64) int { return cmp.Compare(v.from, x) })
		if i > 0 && taken[i-1].to > from || i < len(taken) && taken[i].from < to {
			continue
		}
		s.rows[row] = slices.Insert(taken, i, interval{from, to})
		return row
	}
	return -1
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func describe(e *chronology.Event) string {
	text := fmt.Sprintf("%s UTC, entry %d: %s", timeText(e.Time), e.Index, e.Title)
	if e.Type != trial.EventLogged {
		text += ". " + e.Detail
	}
	return text
}

// placedFlag is a finding that opened at an event.
type placedFlag struct {
	event int
	ref   chronology.Ref
	row   int
	more  int // how many others it stands for
}

var severityRanks = map[trial.Severity]int{trial.SeverityCritical: 0, trial.SeverityMajor: 1, trial.SeverityMinor: 2}

// shelve finds room for the findings of a lane, the gravest first. Those without
// room are counted with the one that is drawn there.
func (f *figure) shelve(r *chronology.Report, s *shelf, all []placedFlag) []placedFlag {
	slices.SortStableFunc(all, func(a, b placedFlag) int {
		return cmp.Compare(severityRanks[a.ref.Severity], severityRanks[b.ref.Severity])
	})
	var out []placedFlag
	top := map[int]int{} // the one that counts the rest, by place
	for _, p := range all {
		x := f.flagX(&r.Events[p.event])
		p.row = s.put(x, x+flagWidth, maxFlags)
		if p.row >= 0 {
			top[int(x/flagWidth)] = len(out)
			out = append(out, p)
			continue
		}
		f.Crowded = true
		k := int(x / flagWidth)
		for _, near := range []int{k, k - 1, k + 1} {
			if i, ok := top[near]; ok {
				out[i].more++
				break
			}
		}
	}
	return out
}

func (f *figure) flagX(e *chronology.Event) float64 {
	return min(f.axis.x(e.Time)-3, float64(f.Right-flagWidth))
}

// flags draws the findings of a lane.
func (f *figure) flags(r *chronology.Report, l *lane, all []placedFlag, anchors map[findingKey]string) {
	for _, p := range all {
		e := &r.Events[p.event]
		x, y := f.flagX(e), l.Y+4+p.row*flagHeight
		out := pennant{
			X: px(x), Y: strconv.Itoa(y), TextX: px(x + (flagWidth-2)/2), TextY: strconv.Itoa(y + 10), Severity: p.ref.Severity,
			Text: p.ref.Rule, Href: "#" + anchors[findingKey{p.ref.Rule, p.ref.Statement}],
			Title: fmt.Sprintf("Finding %s, %s: %s", p.ref.Rule, p.ref.Severity, describe(e)),
		}
		if len([]rune(out.Text)) > 4 {
			out.Text = clip(out.Text, 3)
		}
		if p.more > 0 {
			out.Text = "+" + strconv.Itoa(p.more+1)
			out.Title += fmt.Sprintf(". %s here", count(p.more, "more finding"))
		}
		l.Flags = append(l.Flags, out)
	}
}
