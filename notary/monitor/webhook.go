package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// Webhook is told of each new alarm by a POST of JSON. What could not be delivered
// stays in the folder and is tried again: an alarm comes at least once.
type Webhook struct {
	// URL is https, or http to a loopback address; AnyHTTP allows http elsewhere.
	URL     string
	AnyHTTP bool
	// Token is sent as a bearer token; empty is none.
	Token string
	// Detail adds the alarm's plain words, which may name people and
	// organisations. Without it ids, kinds and places in the log are sent alone.
	Detail bool
	// HTTP sends the requests; nil is a client that follows no redirect and waits
	// for ten seconds.
	HTTP *http.Client
}

// Delivery is an alarm that the webhook has to be told of.
type Delivery struct {
	Alarm string    `json:"alarm"`
	Since time.Time `json:"since"`
	// Attempts counts those that failed, and Next is when the next one is due.
	Attempts int       `json:"attempts,omitzero"`
	Next     time.Time `json:"next,omitzero"`
}

// Message is what the webhook is sent.
type Message struct {
	// ID is the same when a message is sent again.
	ID      string `json:"id"`
	Trial   string `json:"trial"`
	Alarm   string `json:"alarm"`
	Kind    Kind   `json:"kind"`
	Status  Status `json:"status"`
	Since   string `json:"since"`
	Index   string `json:"logIndex,omitzero"`
	Subject string `json:"statementId,omitzero"`
	Detail  string `json:"detail,omitzero"`
}

// Limits of the webhook.
const (
	webhookTimeout = 10 * time.Second
	webhookFirst   = 30 * time.Second
	webhookLast    = time.Hour
	// maxPosts bounds what one look sends.
	maxPosts = 100
	// maxQueue bounds what waits: the oldest are dropped, and stay open alarms.
	maxQueue = 10_000
)

func (w *Webhook) check() error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("invalid webhook: got %q, want an https URL", w.URL)
	}
	if u.Scheme == "http" && !w.AnyHTTP && !isLoopback(u.Hostname()) {
		return fmt.Errorf("invalid webhook: got %q, want https: what is sent tells which trial has a problem", w.URL)
	}
	if u.User != nil {
		return errors.New("invalid webhook: got a password in the URL, want it in the token")
	}
	if w.HTTP == nil {
		w.HTTP = &http.Client{
			Timeout:       webhookTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// deliver tells the webhook what it was not told yet. What it does not take waits,
// longer each time; the look is none the worse for it.
func (l *look) deliver(ctx context.Context) error {
	w, d := l.m.cfg.Webhook, l.m.doc
	if w == nil || len(d.Queue) == 0 {
		return nil
	}
	if over := len(d.Queue) - maxQueue; over > 0 {
		d.Queue = d.Queue[over:]
	}
	var rest []Delivery
	sent, down := 0, false
	for _, q := range d.Queue {
		a := d.find(q)
		if a == nil {
			continue // forgotten
		}
		// One that is due later than it can be is from a clock that was ahead.
		early := l.now.Before(q.Next) && !q.Next.After(l.now.Add(webhookLast))
		if down || sent >= maxPosts || early {
			rest = append(rest, q)
			continue
		}
		if err := w.post(ctx, l.message(a)); err != nil {
			q.Attempts++
			q.Next = l.now.Add(min(webhookFirst<<min(q.Attempts-1, 10), webhookLast))
			rest, down = append(rest, q), true
			continue
		}
		sent++
	}
	d.Queue = rest
	return l.m.save()
}

func (d *document) find(q Delivery) *Alarm {
	for i := range d.Alarms {
		if a := &d.Alarms[i]; a.ID == q.Alarm && a.Since.Equal(q.Since) {
			return a
		}
	}
	return nil
}

func (l *look) message(a *Alarm) *Message {
	m := &Message{
		ID: a.ID + "-" + a.Since.Format("20060102T150405.000Z"), Trial: l.m.doc.Trial, Alarm: a.ID, Kind: a.Kind,
		Status: a.Status, Since: a.Since.Format(time.RFC3339), Subject: a.Statement,
	}
	if a.Index != nil {
		m.Index = fmt.Sprint(*a.Index)
	}
	if l.m.cfg.Webhook.Detail {
		m.Detail = a.Detail
	}
	return m
}

func (w *Webhook) post(ctx context.Context, m *Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing to the webhook: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("writing to the webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", m.ID)
	if w.Token != "" {
		req.Header.Set("Authorization", "Bearer "+w.Token)
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("writing to the webhook: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("writing to the webhook: got status %d, want 2xx", resp.StatusCode)
	}
	return nil
}
