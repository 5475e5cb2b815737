package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
)

// readyWait bounds the checks of one readiness probe.
const readyWait = 3 * time.Second

// Livez answers while the process runs.
func (s *Server) Livez(c *gin.Context) {
	c.JSON(http.StatusOK, contract.HealthReport{Status: contract.HealthStatusOk, Checks: []contract.HealthCheck{}})
}

// Readyz answers 200 when everything that requests need is there, and names what is not.
func (s *Server) Readyz(c *gin.Context) {
	report := s.check(c.Request.Context())
	status := http.StatusOK
	if report.Status != contract.HealthStatusOk {
		status = http.StatusServiceUnavailable
		c.Header("Retry-After", "5")
	}
	c.JSON(status, report)
}

// Health answers as Altinn's probe does (docs/reference/altinn-broker.md 1.8).
func (s *Server) Health(c *gin.Context) {
	report := s.check(c.Request.Context())
	for _, failing := range report.Checks {
		if failing.Status != contract.HealthStatusOk {
			c.String(http.StatusBadRequest, "Not available: %s", failing.Name)
			return
		}
	}
	c.String(http.StatusOK, "Environment properly configured")
}

// GetOpenapi serves the description of this API.
func (s *Server) GetOpenapi(c *gin.Context, params contract.GetOpenapiParams) {
	serveOpenAPI(c, web.Value(params.IfNoneMatch))
}

func (s *Server) check(ctx context.Context) contract.HealthReport {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	probes := []struct {
		name  string
		ready func(context.Context) error
	}{{"database", s.Views.Ready}, {"temporal", s.Transfers.Ready}, {"storage", s.Contents.Ready}}
	report := contract.HealthReport{Status: contract.HealthStatusOk, Checks: make([]contract.HealthCheck, len(probes))}
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() {
			report.Checks[i] = contract.HealthCheck{Name: p.name, Status: contract.HealthStatusOk}
			if err := p.ready(ctx); err != nil {
				s.Log.WarnContext(ctx, "not ready", "what", p.name, "error", err.Error())
				report.Checks[i].Status, report.Checks[i].Error = contract.HealthStatusFailing, "It does not answer; see the log."
			}
		})
	}
	wg.Wait()
	for _, check := range report.Checks {
		if check.Status != contract.HealthStatusOk {
			report.Status = contract.HealthStatusFailing
		}
	}
	return report
}
