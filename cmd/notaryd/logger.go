package main

import (
	"errors"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logDelay is how long a line about a call that went well may wait for others:
// written one by one, they cost more than what they tell of. A crash loses
// those that wait; nothing but an operator's view depends on them.
const logDelay = 200 * time.Millisecond

// newLogger writes JSON lines. Warnings and errors are written at once, and with
// them all that waited before. Whoever made it calls stop at the end.
func newLogger(level string, out io.Writer) (logger *zap.Logger, stop func()) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		parsed = zapcore.InfoLevel
	}
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	// Without out's own Sync: standard error is often a pipe, which has none, and
	// zap would complain there, in lines that are no JSON.
	out = struct{ io.Writer }{out}
	buffer := &zapcore.BufferedWriteSyncer{WS: zapcore.Lock(zapcore.AddSync(out)), Size: 64 << 10, FlushInterval: logDelay}
	core := promptCore{zapcore.NewCore(zapcore.NewJSONEncoder(config), buffer, parsed), new(chatter)}
	return zap.New(core), func() { _ = buffer.Stop() } // nobody is left to tell
}

// promptCore writes what is at least a warning at once, and bounds what libraries
// have to say: they write under names, grpc and http, our own lines have none.
type promptCore struct {
	zapcore.Core
	libraries *chatter
}

func (c promptCore) With(fields []zapcore.Field) zapcore.Core {
	return promptCore{c.Core.With(fields), c.libraries}
}

func (c promptCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && (e.LoggerName == "" || c.libraries.mayWrite(e.Time)) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c promptCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if e.LoggerName != "" {
		if n := c.libraries.takeOmitted(); n > 0 {
			fields = append(fields, zap.Int("omitted", n))
		}
	}
	err := c.Core.Write(e, fields)
	if e.Level >= zapcore.WarnLevel {
		err = errors.Join(err, c.Sync())
	}
	return err
}

// chatterLines is how many lines of libraries are written in a second at most.
const chatterLines = 20

// chatter counts the lines of libraries. gRPC and HTTP write one for each
// connection that does not speak TLS, and anybody can open connections: a flood of
// them must not fill the disk with lines.
type chatter struct {
	mu      sync.Mutex // guards what follows
	second  time.Time  // when the second that is counted began
	written int        // lines in it
	omitted int        // lines since the last one that was written
}

func (c *chatter) mayWrite(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.second).Abs() >= time.Second {
		c.second, c.written = now, 0
	}
	if c.written >= chatterLines {
		c.omitted++
		return false
	}
	c.written++
	return true
}

// takeOmitted returns how many lines were left out since it was last asked.
func (c *chatter) takeOmitted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.omitted
	c.omitted = 0
	return n
}
