//go:build s3

package backing

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/service/s3"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	s3driver "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws" // registers itself as "s3"
)

// pending is Driver.Pending. Other drivers than that of S3 have nothing pending, and neither have servers that do not
// list uploads.
func pending(ctx context.Context, driver storagedriver.StorageDriver, dir string) ([]Pending, error) {
	d, ok := driver.(*s3driver.Driver)
	if !ok {
		return nil, nil
	}
	client, bucket, err := connection(d)
	if err != nil {
		return nil, err
	}
	root := d.S3BucketKey("/")
	var all []Pending
	err = client.ListMultipartUploadsPagesWithContext(ctx, &s3.ListMultipartUploadsInput{
		Bucket: aws.String(bucket), Prefix: aws.String(d.S3BucketKey(dir)),
	}, func(page *s3.ListMultipartUploadsOutput, _ bool) bool {
		for _, u := range page.Uploads {
			all = append(all, Pending{
				Path:  "/" + strings.TrimPrefix(aws.StringValue(u.Key), root),
				Begun: aws.TimeValue(u.Initiated),
				abort: func(ctx context.Context) error {
					_, err := client.AbortMultipartUploadWithContext(ctx, &s3.AbortMultipartUploadInput{
						Bucket: aws.String(bucket), Key: u.Key, UploadId: u.UploadId,
					})
					return except(err, s3.ErrCodeNoSuchUpload)
				},
			})
		}
		return true
	})
	return all, except(err, "NotImplemented")
}

// except returns err, or nil if it has a code of S3.
func except(err error, code string) error {
	if e, ok := errors.AsType[awserr.Error](err); ok && e.Code() == code {
		return nil
	}
	return err
}

// connection returns the client and the bucket of a driver. distribution's driver has no method that lists what is
// pending, and only it knows all the ways in which its parameters give a login. So we take both out of its fields.
func connection(d *s3driver.Driver) (client *s3.S3, bucket string, err error) {
	inner := reflect.Indirect(reflect.ValueOf(d.StorageDriver))
	if f := inner.FieldByName("S3"); f.IsValid() {
		client, _ = f.Interface().(*s3.S3)
	}
	if f := inner.FieldByName("Bucket"); f.IsValid() {
		bucket = f.String()
	}
	if client == nil || bucket == "" {
		return nil, "", fmt.Errorf("the driver %s of S3 has another form than this program knows", inner.Type())
	}
	return client, bucket, nil
}
