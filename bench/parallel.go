package main

import (
	"context"
	"fmt"
)

// thinLink is how many bytes per second a single connection may carry over a long way, however wide that is.
const thinLink = 20e6

const wayThin, wayThinParallel = "tus", "tus, 4 streams"

func uploadTus(ctx context.Context, o *organisation, id string, size int64) error {
	return uploadTusOver(ctx, 0, o, id, size)
}

func uploadTusOver(ctx context.Context, thin int, o *organisation, id string, size int64) error {
	c := tusClient{http: o.client(), token: o.token, thin: thin}
	if _, err := c.single(ctx, o.base+"/filetransfer/upload/tus/"+id, size); err != nil {
		return err
	}
	return o.published(ctx, id)
}

func uploadParallel(ctx context.Context, o *organisation, id string, size int64) error {
	return uploadParallelOver(ctx, 0, o, id, size)
}

func uploadParallelOver(ctx context.Context, thin int, o *organisation, id string, size int64) error {
	c := tusClient{http: o.client(), token: o.token, thin: thin}
	if err := c.parallel(ctx, o.base+"/filetransfer/upload/tus/"+id, size, tusStreams); err != nil {
		return err
	}
	return o.published(ctx, id)
}

// parallel compares streams where the link is what takes the time, not the hashes.
func parallel(ctx context.Context, l *lab) (result, error) {
	all, stop, err := l.servers(ctx, "parallel", func(b *broker) ([]*byteServer, error) {
		one, err := b.way(wayThin, nil, serviceLater, func(ctx context.Context, o *organisation, id string, size int64) error {
			return uploadTusOver(ctx, thinLink, o, id, size)
		})
		if err != nil {
			return nil, err
		}
		several, err := b.way(wayThinParallel, nil, serviceLater, func(ctx context.Context, o *organisation, id string, size int64) error {
			return uploadParallelOver(ctx, thinLink, o, id, size)
		})
		return []*byteServer{one, several}, err
	})
	if err != nil {
		return result{}, err
	}
	defer stop()
	size := l.size / 8
	err = l.alternate("upload over thin links", all, func(s *byteServer) error { return s.round(ctx, size) })
	title := fmt.Sprintf("upload of %s until it is published, where each connection carries at most %.0f MB/s", formatSize(size), thinLink/1e6)
	return result{Tables: []table{compare(title, all)}, Targets: []target{
		atLeast("upload by tus in 4 streams over thin links, of one stream", ratios(named(all, wayThinParallel).rate, named(all, wayThin).rate).median(), 1, "×"),
	}}, err
}
