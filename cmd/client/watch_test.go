package main

import (
	"testing"
	"time"
)

func TestRest(t *testing.T) {
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for name, tc := range map[string]struct {
		restored time.Time
		ended    time.Time
		want     time.Duration
	}{
		"after_a_short_look":                  {time.Time{}, began, 2 * time.Second},
		"after_a_long_look":                   {time.Time{}, at(3), 12 * time.Second},
		"after_an_outage_before":              {at(-5), at(3), 12 * time.Second},
		"after_a_look_that_met_an_outage":     {at(60), at(61), 4 * time.Second},
		"after_one_that_was_long_for_no_more": {at(60), at(60), 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rest(2*time.Second, began, tc.restored, tc.ended); got != tc.want {
				t.Errorf("rest %v, want %v", got, tc.want)
			}
		})
	}
}
