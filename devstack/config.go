package main

import (
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
)

// clusterName is what every single-node Temporal calls itself; databases remember it.
const clusterName = "active"

// serverConfig is a server of one node that keeps its state in db.
func serverConfig(opts options, p ports, db config.Persistence) *config.Config {
	address := dialAddress(opts.ip, p.frontend)
	conf := &config.Config{
		Persistence: db,
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {
					Enabled:                true,
					InitialFailoverVersion: 1,
					RPCAddress:             address,
					HTTPAddress:            dialAddress(opts.ip, p.frontendHTTP),
				},
			},
		},
		Services: map[string]config.Service{
			string(primitives.FrontendService): service(opts.ip, p.frontend, p.frontendHTTP),
			string(primitives.HistoryService):  service(loopback, p.history, 0),
			string(primitives.MatchingService): service(loopback, p.matching, 0),
			string(primitives.WorkerService):   service(loopback, p.worker, 0),
		},
		PublicClient: config.PublicClient{HostPort: address},
	}
	conf.Global.Membership.MaxJoinDuration = 30 * time.Second
	conf.Global.Membership.BroadcastAddress = loopback
	conf.DCRedirectionPolicy.Policy = "noop"
	conf.Archival.History.State = config.ArchivalDisabled
	conf.Archival.Visibility.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.History.State = config.ArchivalDisabled
	conf.NamespaceDefaults.Archival.Visibility.State = config.ArchivalDisabled
	return conf
}

// service listens for gRPC, and for HTTP unless httpPort is 0. Only the frontend has HTTP; we do
// not use it, but Nexus does, and without it the server warns at every start.
func service(ip string, grpcPort, httpPort int) config.Service {
	return config.Service{RPC: config.RPC{GRPCPort: grpcPort, HTTPPort: httpPort, BindOnIP: ip}}
}

// hosts tells the services where the others are, so that none has to gossip.
func hosts(opts options, p ports) map[primitives.ServiceName]static.Hosts {
	return map[primitives.ServiceName]static.Hosts{
		primitives.FrontendService: static.SingleLocalHost(dialAddress(opts.ip, p.frontend)),
		primitives.HistoryService:  static.SingleLocalHost(dialAddress(loopback, p.history)),
		primitives.MatchingService: static.SingleLocalHost(dialAddress(loopback, p.matching)),
		primitives.WorkerService:   static.SingleLocalHost(dialAddress(loopback, p.worker)),
	}
}
