package sched

import (
	"testing"
	"time"
)

func TestTasksSeen(t *testing.T) {
	t.Run("are_assigned_without_a_listing_in_the_order_of_their_ids", func(t *testing.T) {
		ids := newIDs(2)
		r := lead(t, nil, "w1", "w2")
		r.given(TasksSeen{[]string{ids[1], ids[0]}, r.listing})
		r.decides("assign "+ids[0]+" w1", "assign "+ids[1]+" w2")
	})
	t.Run("are_read_first_where_their_names_were_made_by_hand", func(t *testing.T) {
		r := lead(t, nil, "w1")
		r.given(TasksSeen{[]string{"by hand"}, r.listing})
		r.reads("by hand")
	})
	t.Run("stay_although_a_listing_that_had_begun_before_misses_them", func(t *testing.T) {
		id := newIDs(1)[0]
		r := lead(t, nil, "w1")
		r.given(TasksSeen{[]string{id}, r.listing + 1})
		r.list()
		r.decides("assign " + id + " w1")
	})
	t.Run("go_when_a_listing_that_began_later_misses_them", func(t *testing.T) {
		id := newIDs(1)[0]
		r := lead(t, nil, "w1")
		r.given(TasksSeen{[]string{id}, r.listing})
		r.list()
		r.decides()
	})
	t.Run("change_nothing_where_they_are_known", func(t *testing.T) {
		id := newIDs(1)[0]
		r := lead(t, []string{id}, "w1", "w2")
		r.decides("assign " + id + " w1")
		r.given(TasksSeen{[]string{id}, r.listing})
		r.carryOut()
		r.decides()
	})
	t.Run("belong_to_the_worker_that_lists_them_already", func(t *testing.T) {
		id := newIDs(1)[0]
		r := lead(t, nil, "w1", "w2")
		r.given(WorkerChanged{"w1", 1}, WorkerRead{ID: "w1", List: []string{id}, Version: 1, Listings: r.listing},
			TasksSeen{[]string{id}, r.listing})
		r.decides()
	})
	t.Run("are_read_a_little_later_if_a_new_leader_sees_them_before_it_has_listed", func(t *testing.T) {
		id := newIDs(1)[0]
		r := &run{t: t, s: New(3), now: time.Unix(1_000_000, 0)}
		r.given(TasksSeen{[]string{id}, 0})
		r.list(id)
		r.given(WorkersListed{}, DrainsListed{})
		r.reads()
		r.after(foundPause)
		r.reads(id)
	})
}
