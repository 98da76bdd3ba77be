package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// script makes a history of lines. Each is a transaction:
//
//	<session> <operation> | <operation>…
//
//	+ path data    create, ephemeral        = path data   set
//	+p path data   create, permanent        - path        delete
//	open, close, expire                     ! n           refused at operation n: no node
//
// A comma in data stands for a newline. The n-th transaction is n ms old.
func script(t *testing.T, lines ...string) []Txn {
	t.Helper()
	var txns []Txn
	r := newTree()
	for i, line := range lines {
		number, ops, _ := strings.Cut(line, " ")
		session, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		txn := Txn{Zxid: int64(i + 1), Session: session, Time: at(i + 1), RefusedAt: -1}
		for op := range strings.SplitSeq(ops, " | ") {
			f := append(strings.SplitN(op, " ", 3), "", "")
			e := Event{Path: f[1], Data: []byte(strings.ReplaceAll(f[2], ",", "\n"))}
			switch f[0] {
			case "open":
				e.Op = OpenSession
			case "close", "expire":
				e.Op, txn.Expired = CloseSession, f[0] == "expire"
			case "+":
				e.Op, e.Owner = Create, session
			case "+p":
				e.Op = Create
			case "=":
				e.Op = Set
				if n := r.nodes[e.Path]; n != nil {
					e.Version = n.version + 1
					for _, before := range txn.Events { // in this very transaction
						if before.Op == Set && before.Path == e.Path {
							e.Version++
						}
					}
				}
			case "-":
				e.Op = Delete
			case "!":
				txn.Refused = NoNode
				txn.RefusedAt, _ = strconv.Atoi(f[1])
				continue
			default:
				t.Fatalf("%q: no operation", op)
			}
			txn.Events = append(txn.Events, e)
		}
		if err := r.apply(&txn); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		txns = append(txns, txn)
	}
	return txns
}

func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

// cast is how all histories begin: 1 leads, 2 is its backup, 11 and 12 host
// workers, 21 is a client that has submitted t.
var cast = []string{
	"1 +p /master | +p /workers | +p /tasks | +p /data",
	"1 + /master/m-0000000009",
	"2 + /master/m-0000000010",
	"11 + /workers/w",
	"12 + /workers/v",
	"21 + /data/t 1 | + /tasks/t pending",
}

func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		assign = "1 = /workers/w t"
		commit = "11 = /workers/w | = /tasks/t done 0"
		// Of a task that outlives its client.
		detached = "24 +p /data/u 1 | +p /tasks/u pending"
		fail     = "1 = /workers/w u\n11 = /workers/w | = /tasks/u failed so"
		lose     = "1 = /workers/w u\n11 expire\n1 = /tasks/u failed lost with 1 worker"
	)
	type lines []string
	for name, tc := range map[string]struct {
		lines lines
		want  string // rules and znodes that are violated
	}{
		"a_task_is_done":   {lines{assign, commit, "21 - /data/t | - /tasks/t"}, ""},
		"a_task_fails":     {lines{assign, "11 = /workers/w | = /tasks/t failed so"}, ""},
		"several_at_once":  {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "11 = /workers/w u | = /tasks/t done", "11 = /workers/w | = /tasks/u done"}, ""},
		"results_together": {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "11 = /workers/w | = /tasks/t done | = /tasks/u done"}, ""},
		"other_znodes":     {lines{"5 +p /else | +p /else/a b | + /master/me", "5 +p /tasks/t/child | = /master/me you | - /tasks/t/child"}, ""},
		"the_leader_signs": {lines{"1 = /master/m-0000000009 host:1", assign, commit}, ""},
		"a_hand": {lines{"99 = /tasks/t done 1 | + /workers/h t", "99 = /tasks/t done 2 | + /master/0000000001", "99 + /data/x | - /data/t"},
			""},

		"what_is_asked_for_stays": {lines{"21 + /data/u 1 | + /tasks/u pending: timeout=5 x=1", "1 = /workers/w u",
			"11 = /workers/w | = /tasks/u failed: timeout=5 x=1 worker=w exit=1"}, ""},
		"a_commit_drops_what_is_asked_for": {lines{"21 + /data/u 1 | + /tasks/u pending: timeout=5 x=1", "1 = /workers/w u",
			"11 = /workers/w | = /tasks/u done: timeout=5 worker=w"}, "commit /tasks/u"},

		// drain
		"drained":                     {lines{"9 +p /drain | +p /drain/w", "1 = /drain/w drained"}, ""},
		"draining_still":              {lines{"9 +p /drain | +p /drain/w why", assign, commit, "1 = /drain/w drained why"}, ""},
		"drained_and_assigned":        {lines{"9 +p /drain | +p /drain/w", "1 = /drain/w drained", assign}, "drain /workers/w"},
		"drained_another":             {lines{"9 +p /drain | +p /drain/v", "1 = /drain/v drained", assign}, ""},
		"undrained_and_assigned":      {lines{"9 +p /drain | +p /drain/w", "1 = /drain/w drained", "9 - /drain/w", assign}, ""},
		"drained_while_it_has_a_task": {lines{"9 +p /drain | +p /drain/w", assign, "1 = /drain/w drained"}, "drain /drain/w"},
		"a_backup_tells_of_a_drain":   {lines{"9 +p /drain | +p /drain/w", "2 = /drain/w drained"}, "drain /drain/w"},

		// leader
		"the_backup_assigns":               {lines{"2 = /workers/w t"}, "leader /workers/w"},
		"a_worker_assigns_itself":          {lines{"11 = /workers/w t"}, "leader /workers/w"},
		"a_worker_assigns_another":         {lines{"11 = /workers/v t"}, "leader /workers/v"},
		"a_worker_comes_with_a_task":       {lines{"13 + /workers/x t"}, "leader /workers/x"},
		"the_successor_assigns":            {lines{"1 - /master/m-0000000009", "2 = /workers/w t"}, ""},
		"the_successor_by_expiry_assigns":  {lines{"1 expire", "2 = /workers/w t"}, ""},
		"the_deposed_assigns":              {lines{"7 - /master/m-0000000009", "1 = /workers/w t"}, "leader /workers/w"},
		"leaving_and_assigning_at_once":    {lines{"1 = /workers/w t | - /master/m-0000000009"}, ""},
		"nobody_leads":                     {lines{"1 close", "2 close", "3 = /workers/w t"}, "leader /workers/w"},
		"numbers_not_names_decide":         {lines{"3 + /master/a-0000000011", "3 = /workers/w t"}, "leader /workers/w"},
		"a_lower_number_leads":             {lines{"3 + /master/z-0000000008", "3 = /workers/w t"}, ""},
		"overtaken_by_a_lower_number":      {lines{"3 + /master/z-0000000008", "1 = /workers/w t"}, "leader /workers/w"},
		"another_takes_back":               {lines{assign, "21 - /data/t | - /tasks/t", "2 = /workers/w"}, "leader /workers/w"},
		"another_removes_a_worker":         {lines{"12 - /workers/w"}, "leader /workers/w"},
		"another_counts_a_loss":            {lines{assign, "11 expire", "2 = /tasks/t pending 1 | = /workers/v t"}, "leader /tasks/t leader /workers/v"},
		"another_fails_a_task_for_losses":  {lines{assign, "11 expire", "2 = /tasks/t failed lost with 1 worker"}, "leader /tasks/t"},
		"a_task_of_the_leader_s_own_slots": {lines{"1 + /workers/own", "1 = /workers/own t", "1 = /workers/own | = /tasks/t done"}, ""},

		// assign
		"held_by_another":                {lines{assign, "1 = /workers/v t"}, "assign /workers/v"},
		"two_at_once":                    {lines{"1 = /workers/w t | = /workers/v t"}, "assign /workers/v assign /workers/w"},
		"from_one_to_the_other":          {lines{assign, "21 - /data/t | - /tasks/t", "1 = /workers/w"}, ""},
		"no_such_task":                   {lines{"1 = /workers/w x"}, "assign /workers/w"},
		"withdrawn":                      {lines{"21 - /data/t | - /tasks/t", assign}, "assign /workers/w"},
		"done_already":                   {lines{assign, commit, "1 = /workers/v t"}, "assign /workers/v"},
		"in_an_odd_state":                {lines{"99 = /tasks/t strange", assign}, "assign /workers/w"},
		"not_free":                       {lines{assign, "21 + /data/u | + /tasks/u", "1 = /workers/w t,u"}, "assign /workers/w"},
		"again_after_a_loss":             {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t"}, ""},
		"again_without_counting":         {lines{assign, "11 expire", "1 = /workers/v t"}, ""},
		"taken_back_though_it_is_wanted": {lines{assign, "1 = /workers/w"}, "assign /workers/w"},
		"taken_back_of_two":              {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "21 - /data/t | - /tasks/t", "1 = /workers/w u"}, ""},

		"what_it_is_asked_for_it_returns":     {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w t,-u", "11 = /workers/w t", "1 = /workers/v u"}, ""},
		"what_it_is_asked_for_with_a_commit":  {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w -t,-u", "11 = /workers/w | = /tasks/t done", "1 = /workers/v u"}, ""},
		"what_it_is_not_asked_for_it_returns": {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w -t,u", "11 = /workers/w t"}, "give back /workers/w"},
		"the_leader_takes_what_is_not_begun":  {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w t", "1 = /workers/v u"}, "assign /workers/w"},
		"what_is_begun_is_taken_back":         {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w u"}, "assign /workers/w"},
		"all_is_taken_back":                   {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w"}, "assign /workers/w assign /workers/w"},
		"a_backup_takes_what_is_not_begun":    {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "2 = /workers/w t"}, "assign /workers/w leader /workers/w"},
		"done_by_whom_it_was_taken_from":      {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "1 = /workers/w t", "11 = /workers/w | = /tasks/u done"}, "assign /workers/w commit /tasks/u give back /workers/w"},

		// commit
		"done_twice":    {lines{assign, commit, "11 = /tasks/t done 1"}, "commit /tasks/t"},
		"pending_again": {lines{assign, commit, "1 = /tasks/t pending"}, "commit /tasks/t"},

		// retry: u outlives its client, t does not
		"set_back":                              {lines{detached, fail, "22 = /tasks/u pending"}, ""},
		"set_back_by_an_empty_text":             {lines{detached, fail, "22 = /tasks/u"}, ""},
		"set_back_and_done":                     {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/v u", "12 = /workers/v | = /tasks/u done"}, ""},
		"set_back_and_failed_and_so_on":         {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u failed so", "23 = /tasks/u pending"}, ""},
		"set_back_while_it_is_listed":           {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "22 = /tasks/u pending", "11 = /workers/w | = /tasks/u done"}, ""},
		"set_back_when_it_is_done":              {lines{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "22 = /tasks/u pending"}, "commit /tasks/u"},
		"set_back_and_done_is_not_again":        {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "22 = /tasks/u pending"}, "commit /tasks/u"},
		"set_back_when_it_is_pending":           {lines{detached, "22 = /tasks/u pending"}, "give back /tasks/u"},
		"set_back_twice":                        {lines{detached, fail, "22 = /tasks/u pending", "23 = /tasks/u pending"}, "give back /tasks/u"},
		"set_back_twice_at_once":                {lines{detached, fail, "22 = /tasks/u pending | = /tasks/u pending"}, "commit /tasks/u"},
		"set_back_with_losses":                  {lines{detached, fail, "22 = /tasks/u pending 1"}, "commit /tasks/u"},
		"set_back_though_it_ends_with_a_client": {lines{assign, "11 = /workers/w | = /tasks/t failed so", "22 = /tasks/t pending"}, "commit /tasks/t"},
		"set_back_by_its_own_client":            {lines{assign, "11 = /workers/w | = /tasks/t failed so", "21 = /tasks/t pending"}, "commit /tasks/t"},
		"set_back_by_the_leader":                {lines{detached, fail, "1 = /tasks/u pending"}, "commit /tasks/u"},
		"set_back_by_a_backup":                  {lines{detached, fail, "2 = /tasks/u pending"}, "commit /tasks/u"},
		"set_back_by_its_worker_that_leaves":    {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "11 - /workers/w | = /tasks/u pending"}, "commit /tasks/u give back /workers/w"},
		"failed_and_done":                       {lines{detached, fail, "22 = /tasks/u done"}, "commit /tasks/u"},
		"failed_and_done_by_its_worker":         {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "11 = /workers/w | = /tasks/u done"}, "commit /tasks/u"},
		"failed_and_failed":                     {lines{detached, fail, "22 = /tasks/u failed otherwise"}, "commit /tasks/u"},
		"failed_and_set_back_at_once":           {lines{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u failed so | = /tasks/u pending"}, "commit /tasks/u give back /tasks/u give back /workers/w"},
		"set_back_and_assigned_at_once":         {lines{detached, fail, "1 = /tasks/u pending | = /workers/v u"}, "assign /workers/v commit /tasks/u"},
		"lost_set_back_and_lost_again":          {lines{detached, lose, "22 = /tasks/u pending", "1 = /workers/v u", "12 expire", "13 + /workers/x", "1 = /tasks/u pending 1 | = /workers/x u"}, ""},
		"a_loss_before_it_was_set_back_counts":  {lines{detached, lose, "22 = /tasks/u pending", "1 = /tasks/u pending 1 | = /workers/v u"}, "losses /tasks/u"},
		"set_twice_at_once":                     {lines{assign, "11 = /tasks/t pending | = /workers/w | = /tasks/t done"}, "commit /tasks/t"},
		"done_and_listed_on":                    {lines{assign, "11 = /tasks/t done"}, "commit /tasks/t"},
		"done_by_another_worker":                {lines{assign, "12 = /tasks/t done"}, "commit /tasks/t"},
		"done_by_nobody":                        {lines{"21 = /tasks/t done"}, "commit /tasks/t"},
		"done_by_the_leader":                    {lines{assign, "1 = /tasks/t done"}, "commit /tasks/t"},
		"failed_by_the_leader":                  {lines{"1 = /tasks/t failed so"}, "commit /tasks/t"},
		"done_after_it_was_taken_back":          {lines{assign, "99 = /workers/w", "11 = /tasks/t done"}, "commit /tasks/t"},
		"done_when_leaving":                     {lines{assign, "11 = /tasks/t done | - /workers/w"}, ""},
		"done_by_the_session_that_left":         {lines{assign, "11 - /workers/w | = /tasks/t pending", "11 = /tasks/t done"}, "commit /tasks/t"},
		"an_odd_state":                          {lines{assign, "11 = /workers/w | = /tasks/t finished"}, "commit /tasks/t"},
		"lost_once_too_often":                   {lines{assign, "11 expire", "1 = /tasks/t failed lost with 1 worker"}, ""},
		"lost_twice":                            {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 expire", "1 = /tasks/t failed lost with 2 workers"}, ""},
		"lost_though_held":                      {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "1 = /tasks/t failed lost with 2 workers"}, "commit /tasks/t losses /tasks/t"},

		// losses
		"never_lost":                {lines{"1 = /tasks/t failed lost with 1 worker"}, "losses /tasks/t"},
		"one_lost_two_told":         {lines{assign, "11 expire", "1 = /tasks/t failed lost with 2 workers"}, "commit /tasks/t"},
		"counted_without_a_loss":    {lines{"1 = /tasks/t pending 1 | = /workers/w t"}, "losses /tasks/t"},
		"counted_twice":             {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 - /workers/v | = /tasks/t pending 1", "13 + /workers/x", "1 = /tasks/t pending 2 | = /workers/x t"}, "losses /tasks/t"},
		"counted_too_high":          {lines{assign, "11 expire", "1 = /tasks/t pending 2 | = /workers/v t"}, "losses /tasks/t"},
		"counted_down":              {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 - /workers/v | = /tasks/t pending"}, "losses /tasks/t"},
		"counted_but_not_assigned":  {lines{assign, "11 expire", "1 = /tasks/t pending 1"}, "losses /tasks/t"},
		"the_second_of_a_list":      {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "11 expire", "1 = /tasks/u pending 1 | = /workers/v u"}, "losses /tasks/u"},
		"the_first_of_a_list":       {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "11 expire", "1 = /tasks/t pending 1 | = /workers/v t"}, ""},
		"given_back_is_not_lost":    {lines{assign, "11 - /workers/w | = /tasks/t pending", "1 = /tasks/t pending 1 | = /workers/v t"}, "losses /tasks/t"},
		"lost_by_removal_by_a_hand": {lines{assign, "99 - /workers/w", "1 = /tasks/t pending 1 | = /workers/v t"}, ""},

		// give back
		"given_back":                  {lines{assign, "11 = /tasks/t pending | - /workers/w", "1 = /workers/v t"}, ""},
		"given_back_by_two_words":     {lines{assign, "11 = /tasks/t pending 0 | - /workers/w"}, ""},
		"given_back_by_another":       {lines{assign, "12 = /tasks/t pending"}, "give back /tasks/t"},
		"given_back_by_the_leader":    {lines{"1 = /tasks/t pending"}, "give back /tasks/t"},
		"given_back_and_kept":         {lines{assign, "11 = /tasks/t pending"}, "give back /tasks/t"},
		"given_back_without_leaving":  {lines{assign, "11 = /tasks/t pending | = /workers/w"}, "give back /tasks/t give back /workers/w"},
		"left_without_giving_back":    {lines{assign, "11 - /workers/w"}, "give back /workers/w"},
		"left_with_one_of_two":        {lines{"21 + /data/u | + /tasks/u", "1 = /workers/w t,u", "11 = /tasks/t pending | - /workers/w"}, "give back /workers/w"},
		"left_free":                   {lines{"11 - /workers/w"}, ""},
		"left_when_it_was_withdrawn":  {lines{assign, "21 - /data/t | - /tasks/t", "11 - /workers/w"}, ""},
		"freed_when_it_was_withdrawn": {lines{assign, "21 - /data/t | - /tasks/t", "11 = /workers/w"}, ""},
		"freed_when_it_was_finished":  {lines{assign, "99 = /tasks/t done by hand", "11 = /workers/w"}, ""},
		"freed_for_nothing":           {lines{assign, "11 = /workers/w"}, "give back /workers/w"},

		// ids
		"a_task_s_id_again":             {lines{"21 - /data/t | - /tasks/t", "21 + /data/t | + /tasks/t"}, "ids /data/t ids /tasks/t"},
		"a_worker_s_id_again":           {lines{"11 - /workers/w", "11 + /workers/w"}, "ids /workers/w"},
		"a_candidate_s_name_again":      {lines{"2 - /master/m-0000000010", "2 + /master/m-0000000010"}, "ids /master/m-0000000010"},
		"a_permanent_worker":            {lines{"11 +p /workers/x"}, "ids /workers/x"},
		"a_permanent_candidate":         {lines{"11 +p /master/x-0000000011"}, "ids /master/x-0000000011"},
		"a_payload_is_changed":          {lines{"21 = /data/t 2"}, "ids /data/t"},
		"submitted_in_two_steps":        {lines{"21 + /data/u", "21 + /tasks/u"}, "ids /data/u ids /tasks/u"},
		"submitted_for_ever_and_a_time": {lines{"21 +p /data/u | + /tasks/u"}, "ids /tasks/u"},
		"submitted_for_ever":            {lines{"21 +p /data/u | +p /tasks/u pending"}, ""},
		"submitted_as_done":             {lines{"21 + /data/u | + /tasks/u done"}, "ids /tasks/u"},

		// remove
		"withdrawn_by_its_client":      {lines{"21 - /data/t | - /tasks/t"}, ""},
		"withdrawn_by_its_end":         {lines{"21 close"}, ""},
		"cancelled_by_another":         {lines{assign, "22 - /data/t | - /tasks/t", "1 = /workers/w"}, ""},
		"cancelled_without_payload":    {lines{"99 - /data/t", "22 - /tasks/t"}, ""},
		"cancelled_by_half":            {lines{"22 - /tasks/t"}, "remove /tasks/t"},
		"cancelled_by_other_half":      {lines{"22 - /data/t"}, "remove /data/t"},
		"cancelled_by_the_leader":      {lines{"1 - /data/t | - /tasks/t"}, "remove /tasks/t"},
		"cancelled_by_a_backup":        {lines{"2 - /data/t | - /tasks/t"}, "leader /tasks/t"},
		"removed_when_finished":        {lines{assign, commit, "22 - /data/t | - /tasks/t"}, ""},
		"swept_though_it_is_pending":   {lines{"21 +p /data/u | +p /tasks/u", "1 - /data/u | - /tasks/u"}, "remove /tasks/u"},
		"cancelled_by_id":              {lines{"21 +p /data/u | +p /tasks/u", "22 - /data/u | - /tasks/u"}, ""},
		"swept":                        {lines{detached, fail, "1 - /tasks/u | - /data/u"}, ""},
		"swept_when_it_is_done":        {lines{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "1 - /tasks/u | - /data/u"}, ""},
		"swept_without_payload":        {lines{detached, fail, "99 - /data/u", "1 - /tasks/u"}, ""},
		"swept_by_half":                {lines{detached, fail, "1 - /tasks/u"}, "remove /tasks/u"},
		"swept_by_the_other_half":      {lines{detached, fail, "1 - /data/u"}, "remove /data/u"},
		"swept_by_a_backup":            {lines{detached, fail, "2 - /tasks/u | - /data/u"}, "leader /tasks/u"},
		"swept_by_the_deposed":         {lines{detached, fail, "7 - /master/m-0000000009", "1 - /tasks/u | - /data/u"}, "leader /tasks/u"},
		"swept_by_the_successor":       {lines{detached, fail, "1 expire", "2 - /tasks/u | - /data/u"}, ""},
		"swept_though_it_was_set_back": {lines{detached, fail, "22 = /tasks/u pending", "1 - /tasks/u | - /data/u"}, "remove /tasks/u"},
		"swept_though_its_client_does": {lines{assign, commit, "1 - /tasks/t | - /data/t"}, "remove /tasks/t"},
		"a_lone_payload_is_swept":      {lines{detached, "23 - /tasks/u", "1 - /data/u"}, ""},
		"and_by_a_backup":              {lines{detached, "23 - /tasks/u", "2 - /data/u"}, "leader /data/u"},
		"and_though_its_client_does":   {lines{"99 - /tasks/t", "1 - /data/t"}, "remove /data/t"},
		"its_payload_is_swept":         {lines{"1 - /data/t"}, "remove /data/t"},
		"its_payload_later":            {lines{"99 - /tasks/t", "21 - /data/t"}, ""},

		// session
		"used_after_its_end":   {lines{"21 close", "21 +p /data/u | +p /tasks/u"}, "session /data/u"},
		"ended_twice":          {lines{"21 close", "21 expire"}, ""},
		"opened_again":         {lines{"21 close", "21 open", "21 + /data/u | + /tasks/u"}, ""},
		"refused_after_an_end": {lines{"21 close", "21 ! 0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			lines := strings.Split(strings.Join(tc.lines, "\n"), "\n")
			r := Check(script(t, append(slices.Clone(cast), lines...)...), Options{Hands: []int64{99}})
			var got []string
			for _, v := range r.Violations {
				got = append(got, fmt.Sprint(v.Rule, " ", v.Znode))
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q\n%v", strings.Join(got, " "), tc.want, r.Err())
			}
			if (r.Err() == nil) != (tc.want == "") {
				t.Errorf("Err: %v", r.Err())
			}
		})
	}
}

func TestCheckEphemeralsThatOutliveTheirSession(t *testing.T) {
	t.Parallel()
	txns := script(t, append(slices.Clone(cast), "21 close")...)
	last := &txns[len(txns)-1]
	last.Events = last.Events[1:]
	r := Check(txns, Options{})
	if len(r.Violations) != 1 || r.Violations[0].Rule != RuleSession {
		t.Errorf("got %v", r.Err())
	}
}

func TestCheckFinished(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"all_have_left": {[]string{"11 close", "12 close", "21 close", "1 close", "2 close"}, ""},
		"nobody_has":    {nil, "/master /tasks /data /workers"},
		"one_is_left":   {[]string{"11 close", "21 close", "1 close", "2 close"}, "/workers"},
		"one_is_not_collected": {[]string{"21 +p /data/u | +p /tasks/u", "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "11 close", "12 close", "21 close", "1 close", "2 close"},
			"/tasks /data"},
		"a_payload_is_left": {[]string{"21 +p /data/u | +p /tasks/u", "23 - /tasks/u", "11 close", "12 close", "21 close", "1 close", "2 close"}, "/data"},
	} {
		t.Run(name, func(t *testing.T) {
			txns := script(t, append(slices.Clone(cast), tc.lines...)...)
			var got []string
			for _, v := range Check(txns, Options{Finished: true}).Violations {
				got = append(got, v.Znode)
				if v.Rule != RuleEnd {
					t.Error(v)
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("left in %q, want %q", got, tc.want)
			}
			if err := Check(txns, Options{}).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := Check(script(t, append(slices.Clone(cast), // 6 ms
		"21 open",
		"21 + /data/u | + /tasks/u",
		"21 + /data/x | + /tasks/x",
		"1 = /workers/w t,u",                // 10
		"11 expire",                         //
		"1 ! 2",                             //
		"7 - /master/m-0000000009",          //
		"1 ! 0",                             // by the fence
		"2 = /workers/v u",                  //
		"12 = /workers/v | = /tasks/u done", //
		"2 = /tasks/t pending 1 | = /workers/v t",
		"12 - /workers/v | = /tasks/t pending 1",
		"21 - /data/x | - /tasks/x",
		"12 + /workers/x", // 20
		"2 = /workers/x t",
		"21 - /data/t | - /tasks/t",
		"2 = /workers/x",
		"2 expire",
		"21 ! 0",
		"22 +p /data/y | +p /tasks/y | + /workers/y",
		"3 + /master/m-0000000011",
		"3 = /workers/y y",
		"22 = /tasks/y failed so | = /workers/y",
		"23 = /tasks/y pending", // 30
		"3 = /workers/y y",
		"22 = /tasks/y done | = /workers/y",
		"23 +p /data/z | +p /tasks/z",
		"23 - /tasks/z",
		"3 - /tasks/y | - /data/y",
		"3 - /data/z",
	)...), Options{})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s\n%v\n%v\n%v", r, r.Orphans, r.Terms, r.Refused)
	want := Report{
		Txns: 36, Sessions: 1, Expired: 2,
		Created: 5, Done: 2, Failed: 1, Withdrawn: 3, Retried: 1, Uncollected: 2,
		Assigned: 7, MostAssigned: 3, GivenBack: 1, TakenBack: 1, Losses: 1,
		Workers: 4, WorkersLost: 1,
		Orphans: []Orphan{
			{Task: "t", Worker: "w", First: true, Expired: true, Gone: at(11), Again: at(17), To: "v"},
			{Task: "u", Worker: "w", Expired: true, Gone: at(11), Again: at(15), To: "v"},
		},
		Terms: []Term{
			{Candidate: "/master/m-0000000009", Session: 1, Began: at(2), FirstAssign: at(10), LastWrite: at(10), Ended: at(13), Assigned: 2},
			{Candidate: "/master/m-0000000010", Session: 2, Began: at(13), FirstAssign: at(15), LastWrite: at(23), Ended: at(24), Expired: true, Assigned: 3},
			{Candidate: "/master/m-0000000011", Session: 3, Began: at(27), FirstAssign: at(28), LastWrite: at(36), Assigned: 2},
		},
		Refused: map[int64]int{1: 2, 21: 1}, Fenced: 1,
	}
	if want := fmt.Sprintf("%s\n%v\n%v\n%v", want, want.Orphans, want.Terms, want.Refused); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
