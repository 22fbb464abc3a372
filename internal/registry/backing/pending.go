package backing

import "context"

// Pending lists the objects below dir that were begun and not finished. Only S3 has and lists such objects: a directory
// and Azure have the file from its first byte on, and GCS lists no session of an upload, and ends each after a week.
func (d *Driver) Pending(ctx context.Context, dir string) ([]Pending, error) {
	return pending(ctx, d.StorageDriver, dir)
}
