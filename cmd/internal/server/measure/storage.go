package measure

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drayage/dray/internal/registry"
)

// Storage adds the metrics of the storage of r, which it asks for each time Prometheus asks. r is nil in a worker.
func (m *Metrics) Storage(r *registry.Registry) {
	if r == nil {
		return
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m.registry.MustRegister(&storageMetrics{
		state: r.State,
		free: desc("dray_storage_free_bytes",
			"Bytes that are free on the disk of the registry; not for an object store."),
		total: desc("dray_storage_total_bytes", "Bytes of the disk of the registry; not for an object store."),
		stays: desc("dray_storage_reserved_bytes",
			"Bytes that stay free: pushes are refused that would leave less; not for an object store."),
		uploads: desc("dray_uploads_unfinished", "Uploads to the registry that are not finished."),
		bytes:   desc("dray_uploads_unfinished_bytes", "Bytes of the uploads that are not finished."),
		refused: desc("dray_pushes_refused_total", "Requests of pushes that were refused because of the space or the "+
			"state of the disk, or because their principal has too many unfinished uploads.", "reason"),
	})
}

// storageMetrics collects the metrics of a registry.
type storageMetrics struct {
	state              func() registry.State
	free, total, stays *prometheus.Desc
	uploads, bytes     *prometheus.Desc
	refused            *prometheus.Desc
}

func (m *storageMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.free, m.total, m.stays, m.uploads, m.bytes, m.refused} {
		to <- d
	}
}

func (m *storageMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.state()
	gauge := func(d *prometheus.Desc, v int64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	if s.Known {
		gauge(m.free, s.Room.Free)
		gauge(m.total, s.Room.Total)
		gauge(m.stays, s.Stays)
	}
	gauge(m.uploads, int64(s.Uploads))
	gauge(m.bytes, s.UploadBytes)
	for reason, n := range map[string]int64{"space": s.RefusedFull, "uploads": s.RefusedUploads} {
		to <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(n), reason)
	}
}
