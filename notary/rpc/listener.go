package rpc

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// doors bounds the connections that are open, in total and for each address. A
// connection above its address's share is closed at once. When all places are
// taken, whoever holds the most gives one up, the one that was silent longest,
// to an address that holds less: a crowd of idle connections keeps nobody out.
type doors struct {
	total, share int // negative: no limit
	log          *zap.Logger

	// mu guards the fields below.
	mu     sync.Mutex
	open   map[*guest]struct{}
	held   map[netip.Addr]int // no more entries than open connections
	lines  bucket
	closed uint64 // since the last line in the log
	count  Connections
}

// Connections counts those of the gRPC and the HTTP listener.
type Connections struct {
	// Open are open now, Accepted were let in, and Closed were turned away or had
	// to give their place up.
	Open, Accepted, Closed uint64
}

// Connections returns the counts since the start.
func (s *Server) Connections() Connections {
	s.doors.mu.Lock()
	defer s.doors.mu.Unlock()
	now := s.doors.count
	now.Open = uint64(len(s.doors.open))
	return now
}

func newDoors(total, share int, log *zap.Logger) *doors {
	return &doors{total: total, share: share, log: log, open: make(map[*guest]struct{}), held: make(map[netip.Addr]int)}
}

// behind returns a listener whose connections count here.
func (d *doors) behind(l net.Listener) net.Listener {
	return &countedListener{Listener: l, doors: d}
}

// Bound returns a listener that keeps at most total connections open, and of one
// address at most share.
func Bound(l net.Listener, total, share int, log *zap.Logger) net.Listener {
	return newDoors(total, share, log).behind(l)
}

type countedListener struct {
	net.Listener
	doors *doors
}

// Accept returns the next connection that there is room for. It closes the
// others instead of letting them wait: a full queue of the operating system
// would keep everybody out.
func (l *countedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if g := l.doors.let(conn); g != nil {
			return g, nil
		}
		_ = conn.Close() // refused
	}
}

// guest is a connection that is counted until it is closed.
type guest struct {
	net.Conn
	doors *doors
	from  netip.Addr
	addr  net.Addr // of the caller
	once  sync.Once
	heard atomic.Int64 // when something was last read, in nanoseconds since doorsOpened

	// Of calls of gRPC: how many run and do not wait for the caller to read, and
	// when one last did no more, as heard.
	busy, left atomic.Int64
}

// doorsOpened makes heard monotonic.
var doorsOpened = time.Now()

func (g *guest) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	if n > 0 {
		g.heard.Store(int64(time.Since(doorsOpened)))
	}
	return n, err
}

// RemoteAddr implements net.Conn.
func (g *guest) RemoteAddr() net.Addr { return g.addr }

// writtenAddr is an address that was written out once: every call asks for it. By it
// a call finds its connection.
type writtenAddr struct {
	net.Addr
	text  string
	guest *guest
}

func (a writtenAddr) String() string { return a.text }

// Close ends the connection and gives its place back.
func (g *guest) Close() error {
	g.once.Do(func() {
		g.doors.mu.Lock()
		defer g.doors.mu.Unlock()
		g.doors.remove(g)
	})
	return g.Conn.Close()
}

// let counts a connection, or returns nil where there is no room.
func (d *doors) let(conn net.Conn) *guest {
	g := &guest{Conn: conn, doors: d}
	addr := writtenAddr{conn.RemoteAddr(), conn.RemoteAddr().String(), g}
	g.addr, g.from = addr, addressOf(addr.text)
	g.heard.Store(int64(time.Since(doorsOpened)))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.share >= 0 && d.held[g.from] >= d.share {
		d.report("too many connections from one address")
		return nil
	}
	if d.total >= 0 && len(d.open) >= d.total {
		given := d.give(g.from)
		if given == nil {
			d.report("too many connections")
			return nil
		}
		d.report("too many connections: the longest silent one was closed")
		d.remove(given)
		// Its owner finds it closed and closes it too, which counts once.
		_ = given.Conn.Close()
	}
	d.count.Accepted++
	d.open[g] = struct{}{}
	d.held[g.from]++
	return g
}

// give finds the connection to give up: of the addresses that hold the most, the
// one that was silent longest. It is nil where nobody holds more than the
// newcomer would. The caller holds mu.
func (d *doors) give(to netip.Addr) *guest {
	most := 0
	for _, n := range d.held {
		most = max(most, n)
	}
	if d.held[to]+1 > most {
		return nil
	}
	var silent *guest
	for g := range d.open {
		if d.held[g.from] == most && (silent == nil || g.heard.Load() < silent.heard.Load()) {
			silent = g
		}
	}
	return silent
}

// remove takes a connection off the books. The caller holds mu.
func (d *doors) remove(g *guest) {
	if _, ok := d.open[g]; !ok {
		return
	}
	delete(d.open, g)
	if d.held[g.from]--; d.held[g.from] == 0 {
		delete(d.held, g.from)
	}
}

// report writes a line a second at most. The caller holds mu.
func (d *doors) report(what string) {
	d.closed++
	d.count.Closed++
	if _, ok := d.lines.take(time.Now(), rate{1, 1}); ok {
		d.log.Warn(what, zap.Uint64("closed", d.closed), zap.Int("open", len(d.open)), zap.Int("addresses", len(d.held)))
		d.closed = 0
	}
}
