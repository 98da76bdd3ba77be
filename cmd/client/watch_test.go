package main

import (
	"testing"
	"time"
)

func TestPauseBetweenTwoReadsOfTheStatus(t *testing.T) {
	began := time.Now()
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	for name, tc := range map[string]struct {
		restored time.Time
		ended    time.Time
		want     time.Duration
	}{
		"is_the_interval_after_a_short_read":                             {time.Time{}, began, 2 * time.Second},
		"is_longer_after_a_long_read":                                    {time.Time{}, at(3), 12 * time.Second},
		"does_not_depend_on_an_earlier_outage":                           {at(-5), at(3), 12 * time.Second},
		"counts_a_read_from_the_end_of_an_outage_in_it":                  {at(60), at(61), 4 * time.Second},
		"is_the_interval_after_a_read_that_was_long_for_an_outage_alone": {at(60), at(60), 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rest(2*time.Second, began, tc.restored, tc.ended); got != tc.want {
				t.Errorf("rest %v, want %v", got, tc.want)
			}
		})
	}
}
