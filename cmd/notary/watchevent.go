package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	client "github.com/trialnotary/trialnotary/clients/go"
)

// Words for what happens to a watched folder.
const (
	eventWatching  = "watching"
	eventNotarized = statusNotarized
	eventWitnesses = statusWitnesses
	eventAlready   = statusAlready
	eventRefused   = statusRefused
	eventFailed    = statusFailed
	eventSkipped   = "skipped"
	eventTrouble   = "no answer"
	eventCannot    = "cannot go on, trying again"
	eventBetter    = "going on"
	eventGone      = "folder gone"
	eventBack      = "folder back"
	eventStopped   = "stopped"
	eventDone      = "done"
)

// watchEvent is a line of watch.
type watchEvent struct {
	Time        time.Time `json:"time"`
	Event       string    `json:"event"`
	Path        string    `json:"path,omitzero"`
	StatementID string    `json:"statementId,omitzero"`
	LogIndex    *uint64   `json:"logIndex,omitzero"`
	Receipt     string    `json:"receipt,omitzero"`
	Message     string    `json:"message,omitzero"`
	Reason      string    `json:"reason,omitzero"`
}

// watchCounts is what became of files in this run; refused and failed are how
// many of them are so now.
type watchCounts struct {
	Notarized, Already, Refused, Failed, Waiting int
	// Earlier are the first of those that were refused, and told of, in an earlier run.
	Earlier []string
}

// maxEarlier is how many files that were refused earlier are named.
const maxEarlier = 5

func (c *watchCounts) refusedEarlier(rel string) {
	c.Refused++
	if len(c.Earlier) < maxEarlier {
		c.Earlier = append(c.Earlier, printable(rel))
	}
}

func (c *watchCounts) String() string {
	parts := []string{count(c.Notarized, "file notarized", "files notarized")}
	for _, n := range []struct {
		n    int
		what string
	}{{c.Already, "notarized before"}, {c.Refused, "refused"}, {c.Failed, "failed"}, {c.Waiting, "not complete"}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	text := strings.Join(parts, ", ")
	if len(c.Earlier) > 0 {
		text += "; refused earlier: " + strings.Join(c.Earlier, ", ") + " (--retry-refused submits once more)"
	}
	return text
}

// tell prints an event. That nobody reads them ends nothing.
func (w *watcher) tell(e watchEvent) {
	e.Time = w.now().UTC().Truncate(time.Second)
	if w.output == "json" {
		if text, err := json.Marshal(e, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err == nil {
			_, _ = w.stdout.Write(append(text, '\n'))
		}
		return
	}
	line := e.Time.Format(time.RFC3339) + " " + e.Event
	if e.Path != "" {
		line += ": " + printable(e.Path)
	}
	if e.LogIndex != nil {
		line += fmt.Sprintf(", entry %d", *e.LogIndex)
	}
	if e.StatementID != "" {
		line += ", statement " + e.StatementID
	}
	if e.Message != "" {
		line += ": " + printable(e.Message)
	}
	if e.Reason != "" {
		line += " (" + e.Reason + ")"
	}
	fmt.Fprintln(w.stdout, line)
}

// printable quotes what could end a line or move a terminal's cursor: whoever may
// drop a file into the folder chooses its name, and must not write lines of ours.
func printable(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// troubled tells once why nothing can be submitted, until it can again.
func (w *watcher) troubled(err error) {
	event := eventCannot
	if errors.Is(err, client.ErrUnanswered) || errors.Is(err, client.ErrNotSignedIn) || errors.Is(err, client.ErrUntrusted) {
		event = eventTrouble
	}
	told := event
	if event == eventCannot {
		told += err.Error()
	}
	if w.trouble == told {
		return
	}
	w.trouble = told
	w.tell(watchEvent{Event: event, Message: err.Error()})
}

// better tells that an end came to what troubled told.
func (w *watcher) better() {
	if w.trouble != "" {
		w.trouble = ""
		w.tell(watchEvent{Event: eventBetter})
	}
}

// status is the exit status of --once.
func (w *watcher) status(err error) error {
	switch {
	case err != nil && exitStatus(err) == exitNegative, w.counts.Refused > 0:
		return errNegative
	case err != nil, w.counts.Failed > 0, w.gone:
		return errUnreadable
	}
	return nil
}
