package page

import (
	"fmt"
	"strings"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
)

// maxBands bounds the rows of locks; those beyond stand in the table alone.
const maxBands = 12

// addBands draws when data were locked and opened, and returns the height. A lock
// and what opens it share a row; the next lock has one of its own where its name
// would touch the last one's.
func (f *figure) addBands(r *chronology.Report, y int) int {
	if len(r.Windows) == 0 {
		return 0
	}
	events := anchorsAt(r)
	rows := 0
	for i := range r.Windows {
		w := &r.Windows[i]
		if rows == maxBands {
			f.Crowded = true
			break
		}
		x, width := f.extent(w)
		b := band{
			X: px(x), Width: px(width), Unlock: w.Unlock, Href: events[placeOf{w.Begin, w.Statement}],
			Y: fmt.Sprint(y + 2 + rows*bandHeight), TextY: fmt.Sprint(y + 2 + rows*bandHeight + 11), Title: windowTitle(w),
		}
		b.Label = "Lock " + w.Label
		if w.Unlock {
			b.Label = "Unlock of " + w.Label
		}
		b.Label = clip(b.Label, 32)
		room := float64(len([]rune(b.Label)))*charWidth + 8
		switch {
		case width > room && !w.Unlock:
			b.TextX, b.Inside = px(x+5), true
		case x-room > gutter:
			b.TextX, b.End = px(x-5), true
		default:
			b.TextX = px(x + width + 5)
		}
		f.Bands = append(f.Bands, b)
		rows++
	}
	return rows*bandHeight + 4
}

// extent returns where a window begins and how wide it is, at least visible.
func (f *figure) extent(w *chronology.Window) (x, width float64) {
	x = f.axis.x(w.From)
	end := float64(f.Right)
	if w.Ended {
		end = f.axis.x(w.To)
	}
	return x, max(end-x, 2)
}

func windowTitle(w *chronology.Window) string {
	what := fmt.Sprintf("Lock %s (%s)", w.Label, w.Type)
	if w.Unlock {
		what = "Unlock of " + w.Label
	}
	end := "to now"
	if w.Ended {
		end = "to " + timeText(w.To)
	}
	text := fmt.Sprintf("%s, in effect from %s UTC %s; %s", what, timeText(w.From), end, scopeText(&w.Scope))
	if w.Reason != "" {
		text += ". " + w.Reason
	}
	return text
}

// scopeText says what a window is about.
func scopeText(s *trial.DataScope) string {
	sites, datasets := "all sites", "all datasets"
	if len(s.Sites) > 0 {
		sites = "sites " + strings.Join(s.Sites, ", ")
	}
	if len(s.Datasets) > 0 {
		datasets = strings.Join(s.Datasets, ", ")
	}
	return sites + ", " + datasets
}

// addShades shades the lanes that a window concerns.
func (f *figure) addShades(r *chronology.Report) {
	for i := range r.Windows {
		if i == maxBands {
			return
		}
		w := &r.Windows[i]
		x, width := f.extent(w)
		in := map[string]bool{}
		for _, s := range w.Scope.Sites {
			in[s] = true
		}
		for _, l := range f.Lanes {
			if len(in) == 0 || in[l.site] {
				f.Shades = append(f.Shades, shade{X: px(x), Width: px(width), Y: l.Y, H: l.Height, Unlock: w.Unlock})
			}
		}
	}
}

// placeOf is an event's place.
type placeOf struct {
	index     uint64
	statement trial.ID
}

func anchorsAt(r *chronology.Report) map[placeOf]string {
	out := map[placeOf]string{}
	for i := range r.Events {
		out[placeOf{r.Events[i].Index, r.Events[i].Statement}] = "#" + eventAnchor(i)
	}
	return out
}

// milestone returns what a trial's history is told by, "" for all other events.
func milestone(e *chronology.Event) string {
	if e.Status != trial.StatusEffective || e.Type != trial.EventLogged && e.Type != trial.EventEffect {
		return ""
	}
	word, whole := chronology.KindWord(e.Kind), e.Site == ""
	switch e.Kind {
	case trial.KindProtocol, trial.KindProtocolAmendment, trial.KindBaseline:
		if e.Kind == trial.KindProtocolAmendment {
			word = "Amendment"
		}
		return strings.TrimSpace(word + " " + e.Version)
	case trial.KindSAP:
		return strings.TrimSpace("SAP " + e.Version)
	case trial.KindRandomisationSeal:
		return "List sealed"
	case trial.KindRandomisationReveal:
		return "List opened"
	case trial.KindUnblinding:
		if strings.Contains(e.Title, "participant") {
			return "Unblinding of one"
		}
		return "Unblinding"
	case trial.KindLastVisit, trial.KindCloseout:
		if !whole {
			return ""
		}
		if e.Kind == trial.KindLastVisit {
			return "Last visit"
		}
		return word
	default:
		return ""
	}
}

// addLabels places the milestones in as many rows as it takes, and leaves out
// those that find no room. It returns the number of rows.
func (f *figure) addLabels(r *chronology.Report, y int) int {
	var rows shelf
	used, first := 0, true
	for i := range r.Events {
		e := &r.Events[i]
		text := milestone(e)
		if e.Kind == trial.KindFirstParticipant && first {
			text, first = "First participant", false
		}
		if text == "" {
			continue
		}
		text = clip(text, 24)
		x, width := f.axis.x(e.Time), float64(len([]rune(text)))*charWidth+10
		l := label{X: px(x), Text: text, Href: "#" + eventAnchor(i), Title: describe(e), TextX: px(x + 4)}
		at := interval{x, x + width}
		if at.to > float64(f.Right) {
			at, l.TextX, l.End = interval{x - width, x}, px(x-4), true
		}
		row := rows.put(at.from, at.to, maxLabels)
		if row < 0 {
			continue // its mark is there all the same
		}
		l.TextY = y + row*labelHeight + 11
		l.LineY = l.TextY - 9
		f.Labels = append(f.Labels, l)
		used = max(used, row+1)
	}
	return used
}
