package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/smspager/smspager/internal/logs"
	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
)

const (
	// logBuffer is how many bytes of the log are held while nobody reads it. logPatience is how
	// long the program waits for a reader when it ends.
	logBuffer   = 1 << 20
	logPatience = time.Second
)

// closeTimeout is how long connections may take to end once everything is sent.
const closeTimeout = 5 * time.Second

// server is the subcommand serve.
type server struct {
	configFile    string
	publicAddress string
	externalURL   string
	routePrefix   string
	web           *web.FlagConfig
	log           promslog.Config
}

func addServe(app *kingpin.Application) (string, func(context.Context, console) error) {
	var s server
	cmd := app.Command("serve", "Take notifications from Alertmanager and send SMS.\n\n"+
		"Example: smspager serve --config.file=smspager.yml --public.listen-address=:9881\n\n"+
		"SIGHUP and POST /-/reload apply a changed configuration. SIGTERM stops the program after running requests have finished.")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default(defaultConfig).StringVar(&s.configFile)
	cmd.Flag("public.listen-address", "Address that serves the provider's callbacks and phone pages, and nothing else. The other address then does not serve them. Default: they are served with everything else.").
		PlaceHolder("ADDRESS").StringVar(&s.publicAddress)
	cmd.Flag("web.external-url", "URL by which browsers reach smspager, for example behind a proxy that serves it under a path. Its path begins the links of the console.").
		PlaceHolder("URL").StringVar(&s.externalURL)
	cmd.Flag("web.route-prefix", "Path under which smspager serves everything but the public paths. Default: the path of --web.external-url.").
		PlaceHolder("PATH").StringVar(&s.routePrefix)
	s.web = kingpinflag.AddFlags(cmd, ":9879")
	promslogflag.AddFlags(app, &s.log)
	return cmd.FullCommand(), s.run
}

func (s *server) run(ctx context.Context, c console) error {
	if os.Getenv("GOGC") == "" {
		tuneMemory()
	}
	signal.Ignore(syscall.SIGPIPE) // the program continues when nobody reads the log any more
	out := logs.NewWriter(c.err, logBuffer)
	defer out.Close(logPatience)
	s.log.Writer = out
	logger := promslog.New(&s.log)
	logger.Info("starting smspager", "version", version.Info(), "build", version.BuildContext())

	load := func() (*config.Config, error) { return receiver.LoadConfig(s.configFile) }
	cfg, err := load()
	if err != nil {
		return err
	}
	if err := checkWebConfig(*s.web.WebConfigFile); err != nil {
		return err
	}
	listeners, err := listen(s.web)
	if err != nil {
		return err
	}
	s.warnOpen(cfg, listeners, logger)
	r, err := receiver.New(cfg, receiver.Options{
		Logger: logger, Registerer: newRegistry(out), Load: load,
		BasicAuth: checksUser(*s.web.WebConfigFile), ExternalURL: s.externalURL, RoutePrefix: s.prefix(),
	})
	if err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	servers, failed, err := s.serve(r, listeners, logger)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	go reloadOn(ctx, reload, r, logger)
	go notifySystemd(ctx, r, logger)

	// If a listener fails, the program ends once running requests have finished.
	var serveErr error
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case serveErr = <-failed:
		case <-ctx.Done():
			notify(logger, daemon.SdNotifyStopping)
			logger.Info("stopping after running requests have finished")
		}
		stop()
	})
	err = r.Run(ctx)
	watching.Wait()
	err = errors.Join(err, shutdown(context.WithoutCancel(ctx), servers))
	logger.Info("smspager has stopped")
	return errors.Join(serveErr, err)
}

// prefix returns the path under which smspager serves, by default that of the external URL.
func (s *server) prefix() string {
	if u, err := url.Parse(s.externalURL); s.routePrefix == "" && err == nil {
		return u.Path
	}
	return s.routePrefix
}

// serve starts the HTTP servers of a Receiver. If one of them fails, failed gets its error.
func (s *server) serve(r *receiver.Receiver, listeners []net.Listener, logger *slog.Logger) (servers []*http.Server, failed <-chan error, err error) {
	handler := r.Handler()
	ended := make(chan error, 2+len(listeners))
	if s.publicAddress != "" {
		handler = r.PrivateHandler()
		listener, err := openPort(s.publicAddress)
		if err != nil {
			return nil, nil, fmt.Errorf("--public.listen-address: %w", err)
		}
		logger.Info("listening for callbacks and phone pages", "address", listener.Addr())
		public := newServer(r.PublicHandler(), logger)
		servers = append(servers, public)
		go func() { ended <- public.Serve(listener) }()
	}
	if listeners == nil {
		private := newServer(handler, logger)
		go func() { ended <- web.ListenAndServe(private, s.web, logger) }()
		return append(servers, private), ended, nil
	}
	for _, l := range listeners {
		private := newServer(handler, logger)
		if *s.web.WebConfigFile != "" {
			l = &exempt{Listener: l, server: private, inner: handler, skips: r.NeedsNoLogin}
		}
		servers = append(servers, private)
		go func() { ended <- web.Serve(l, private, s.web, logger) }()
	}
	return servers, ended, nil
}

// reloadOn reloads the configuration at each signal, until the context ends.
func reloadOn(ctx context.Context, signals <-chan os.Signal, r *receiver.Receiver, logger *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			notify(logger, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
			_ = r.Reload() // logs and counts its errors
			notify(logger, daemon.SdNotifyReady)
		}
	}
}

// shutdown stops servers once running requests have finished, within closeTimeout.
func shutdown(ctx context.Context, servers []*http.Server) (err error) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	for _, s := range servers {
		if s.Shutdown(ctx) != nil { // a connection without a request yet counts as busy for 5 s
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

// newRegistry returns a registry with the metrics of the process and its log.
func newRegistry(out *logs.Writer) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		versioncollector.NewCollector("smspager"),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "smspager_log_lines_dropped_total", Help: "Log lines that were lost because nobody read them.",
		}, func() float64 { return float64(out.Dropped()) }),
	)
	return reg
}

// listen opens the listeners before anything else starts, because another smspager may have the
// addresses. For a virtual machine's socket it returns nil, because exporter-toolkit opens that.
func listen(flags *web.FlagConfig) (listeners []net.Listener, err error) {
	if flags.WebSystemdSocket != nil && *flags.WebSystemdSocket {
		if listeners, err = activation.Listeners(); err == nil && len(listeners) == 0 {
			err = errors.New("--web.systemd-socket: systemd passed no socket")
		}
		return listeners, err
	}
	if slices.ContainsFunc(*flags.WebListenAddresses, func(address string) bool { return strings.HasPrefix(address, "vsock://") }) {
		return nil, nil
	}
	for _, address := range *flags.WebListenAddresses {
		l, err := openPort(address)
		if err != nil {
			for _, other := range listeners {
				_ = other.Close()
			}
			return nil, fmt.Errorf("--web.listen-address: %w", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// checkWebConfig returns an error if the file of --web.config.file is not valid. "" is no file.
func checkWebConfig(file string) error {
	if file == "" {
		return nil
	}
	if err := web.Validate(file); err != nil {
		return fmt.Errorf("--web.config.file: %w", badFile(file, err, "see docs/web-configuration.md of exporter-toolkit; passwords are bcrypt hashes, as htpasswd -nB makes them"))
	}
	return nil
}

// openPort listens on an address. Its errors say what to do. An empty address is an error: net.Listen would choose
// a port.
func openPort(address string) (net.Listener, error) {
	if address == "" {
		return nil, errors.New("empty; write it like :9879 or 127.0.0.1:9879")
	}
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = fmt.Errorf("%w; stop the program that listens there, or choose another port", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = fmt.Errorf("%w; name an address of this machine, or none, such as :9879", err)
	case errors.Is(err, syscall.EACCES):
		err = fmt.Errorf("%w; choose a port above 1023", err)
	case errors.As(err, new(*net.AddrError)), errors.As(err, new(*net.DNSError)):
		err = fmt.Errorf("%w; write it like :9879 or 127.0.0.1:9879", err)
	}
	return l, err
}

// warnOpen warns of an address that others can reach and use without any secret.
func (s *server) warnOpen(cfg *config.Config, listeners []net.Listener, logger *slog.Logger) {
	if *s.web.WebConfigFile != "" || cfg.Webhook.Token != "" {
		return
	}
	for _, l := range listeners {
		if address, ok := l.Addr().(*net.TCPAddr); ok && !address.IP.IsLoopback() {
			logger.Warn("everybody who reaches this address can page people by the webhook, read messages and, until somebody can log in, reload the configuration; set --web.config.file or webhook.token_file, or listen on 127.0.0.1", "address", address)
		}
	}
}

// newServer returns an HTTP server with timeouts, so that clients cannot hold connections for ever.
func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logs.Limit(logger).Handler(), slog.LevelWarn),
	}
}
