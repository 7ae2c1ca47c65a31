package page

import "time"

// axis maps log times to places, to scale.
type axis struct {
	from, to    time.Time
	left, width float64
}

// newAxis shows a little more than what lies between two times.
func newAxis(from, to time.Time, left, width float64) axis {
	room := max(to.Sub(from)/60, time.Minute)
	return axis{from.Add(-room), to.Add(room), left, width}
}

// x returns the place of a time, that of the beginning for one that is unknown.
func (a *axis) x(t time.Time) float64 {
	if t.Before(a.from) {
		t = a.from
	}
	if t.After(a.to) {
		t = a.to
	}
	return a.left + a.width*(t.Sub(a.from).Seconds()/a.to.Sub(a.from).Seconds())
}

// tick is a line of the grid.
type tick struct {
	X     string
	Label string
	Major bool // a new year, or a new day among hours
}

// step is a distance of ticks: months where there are some, else a duration.
type step struct {
	months   int
	duration time.Duration
	layout   string
	major    func(time.Time) bool
}

func newYear(t time.Time) bool { return t.YearDay() == 1 }
func newMonth(t time.Time) bool {
	return t.Day() == 1
}
func newDay(t time.Time) bool { return t.Hour() == 0 && t.Minute() == 0 }

const oneDay = 24 * time.Hour

var steps = []step{
	{duration: time.Minute, layout: "15:04", major: newDay},
	{duration: 5 * time.Minute, layout: "15:04", major: newDay},
	{duration: 15 * time.Minute, layout: "15:04", major: newDay},
	{duration: time.Hour, layout: "15:04", major: newDay},
	{duration: 3 * time.Hour, layout: "15:04", major: newDay},
	{duration: 12 * time.Hour, layout: "2 Jan 15:04", major: newDay},
	{duration: oneDay, layout: "2 Jan", major: newMonth},
	{duration: 2 * oneDay, layout: "2 Jan", major: newMonth},
	{duration: 7 * oneDay, layout: "2 Jan", major: newMonth},
	{months: 1, layout: "Jan 2006", major: newYear},
	{months: 3, layout: "Jan 2006", major: newYear},
	{months: 6, layout: "Jan 2006", major: newYear},
	{months: 12, layout: "2006", major: newYear},
	{months: 24, layout: "2006", major: newYear},
	{months: 60, layout: "2006", major: newYear},
	{months: 120, layout: "2006", major: newYear},
}

const maxTicks = 14

// ticks returns the lines of the grid: at most maxTicks, at calendar places in UTC.
func (a *axis) ticks() []tick {
	for i := range steps {
		if out := a.ticksAt(&steps[i], i == len(steps)-1); len(out) <= maxTicks {
			return out
		}
	}
	return nil
}

func (a *axis) ticksAt(s *step, last bool) []tick {
	var out []tick
	for at := s.first(a.from.UTC()); !at.After(a.to) && (last || len(out) <= maxTicks); at = s.next(at) {
		if at.Before(a.from) {
			continue
		}
		t := tick{X: px(a.x(at)), Label: at.Format(s.layout), Major: s.major(at)}
		if t.Major && s.duration > 0 {
			t.Label = at.Format("2 Jan 2006")
		}
		out = append(out, t)
	}
	if last && len(out) > maxTicks {
		return nil // no trial lasts for more than a century
	}
	return out
}

// first returns a place of the grid at or before a time.
func (s *step) first(t time.Time) time.Time {
	if s.duration > 0 {
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Truncate(s.duration)
	}
	months := t.Year()*12 + int(t.Month()) - 1
	return time.Date(0, time.Month(months-months%s.months+1), 1, 0, 0, 0, 0, time.UTC)
}

func (s *step) next(t time.Time) time.Time {
	if s.duration > 0 {
		return t.Add(s.duration)
	}
	return t.AddDate(0, s.months, 0)
}
