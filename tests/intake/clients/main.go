// One run of a job by sentry-go, with CRONWAX_DSN.
package main

import (
	"os"
	"time"

	"github.com/getsentry/sentry-go"
)

func main() {
	if err := sentry.Init(sentry.ClientOptions{Dsn: os.Getenv("CRONWAX_DSN"), Environment: "live"}); err != nil {
		panic(err)
	}
	config := &sentry.MonitorConfig{Schedule: sentry.IntervalSchedule(1, sentry.MonitorScheduleUnitDay)}
	begun := &sentry.CheckIn{MonitorSlug: "By Go", Status: sentry.CheckInStatusInProgress}
	id := sentry.CaptureCheckIn(begun, config)
	ended := &sentry.CheckIn{ID: *id, MonitorSlug: "By Go", Status: sentry.CheckInStatusOK, Duration: 20 * time.Millisecond}
	sentry.CaptureCheckIn(ended, config)
	sentry.Flush(5 * time.Second)
}
