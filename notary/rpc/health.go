package rpc

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// healthAge is how long an answer of the service about its health is used:
// probes are cheap, and looking at the disk for each of them is not.
const healthAge = time.Second

// health answers grpc.health.v1 for "" and for the NotaryService, both with the
// truth of the service, or NOT_SERVING once the server shuts down. Watchers are
// told of a change within healthAge.
type health struct {
	grpc_health_v1.UnimplementedHealthServer
	service Service
	// certificates adds how the certificates are; nil adds nothing.
	certificates func() notary.Condition
	draining     <-chan struct{} // closed: NOT_SERVING from now on

	// mu guards the last answer; one caller at a time asks the service.
	mu         sync.Mutex
	asked      time.Time
	conditions []notary.Condition
}

// ready returns the service's conditions and whether it serves.
func (h *health) ready() ([]notary.Condition, bool) {
	h.mu.Lock()
	if time.Since(h.asked) >= healthAge {
		// Not the caller's context: one that gives up must not make the notary
		// look ill to the next.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		h.conditions = h.service.Health(ctx)
		cancel()
		if h.certificates != nil {
			h.conditions = append(h.conditions, h.certificates())
		}
		h.asked = time.Now()
	}
	conditions := h.conditions
	h.mu.Unlock()

	select {
	case <-h.draining:
		return conditions, false
	default:
	}
	for _, c := range conditions {
		if !c.OK {
			return conditions, false
		}
	}
	return conditions, true
}

// Health returns what health answers are made of: the conditions of the service and
// of the certificates. It is not older than a second.
func (s *Server) Health() []notary.Condition {
	conditions, _ := s.probe.ready()
	return conditions
}

func (h *health) status() grpc_health_v1.HealthCheckResponse_ServingStatus {
	if _, ok := h.ready(); ok {
		return grpc_health_v1.HealthCheckResponse_SERVING
	}
	return grpc_health_v1.HealthCheckResponse_NOT_SERVING
}

func knownService(name string) bool {
	return name == "" || name == notaryv1.NotaryService_ServiceDesc.ServiceName
}

// Check tells whether the notary serves.
func (h *health) Check(_ context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if !knownService(req.GetService()) {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &grpc_health_v1.HealthCheckResponse{Status: h.status()}, nil
}

// List tells it for each service.
func (h *health) List(context.Context, *grpc_health_v1.HealthListRequest) (*grpc_health_v1.HealthListResponse, error) {
	now := &grpc_health_v1.HealthCheckResponse{Status: h.status()}
	return &grpc_health_v1.HealthListResponse{Statuses: map[string]*grpc_health_v1.HealthCheckResponse{
		"": now, notaryv1.NotaryService_ServiceDesc.ServiceName: now,
	}}, nil
}

// Watch tells it now and whenever it changes, until the server shuts down.
func (h *health) Watch(req *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	tick := time.NewTicker(healthAge)
	defer tick.Stop()
	last := grpc_health_v1.HealthCheckResponse_UNKNOWN
	draining := h.draining
	for {
		now := grpc_health_v1.HealthCheckResponse_SERVICE_UNKNOWN
		if knownService(req.GetService()) {
			now = h.status()
		}
		if now != last {
			last = now
			if err := stream.Send(&grpc_health_v1.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
		}
		if draining == nil {
			return errDraining
		}
		select {
		case <-tick.C:
		case <-draining:
			draining = nil // say so, then end
		case <-stream.Context().Done():
			return context.Cause(stream.Context())
		}
	}
}

// healthPage is the answer of /readyz. Details are for the operator: they may
// name folders and sizes.
type healthPage struct {
	Ready      bool              `json:"ready"`
	Conditions []healthCondition `json:"conditions"`
}

type healthCondition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// health answers /healthz, "the process lives", and /readyz, "send it calls".
func (f *front) health(w *statusWriter, r *http.Request) error {
	if err := onlyGet(r); err != nil {
		return err
	}
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
		return nil
	}
	u, err := f.frontCaller(r)
	if err != nil {
		return err
	}
	conditions, ready := f.probe.ready()
	page := healthPage{Ready: ready, Conditions: []healthCondition{}}
	for _, c := range conditions {
		shown := healthCondition{Name: c.Name, OK: c.OK}
		if u.has(RoleOperator) {
			shown.Detail = c.Detail
		}
		page.Conditions = append(page.Conditions, shown)
	}
	body, err := json.Marshal(page)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n'))
	return nil
}
