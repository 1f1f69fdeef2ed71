%% The ledger of samples/ledger as an Erlang/OTP server: what livepatch's benchmark compares with.
%% With -DNEW it is the second version, whose accounts have one element more.
-module(ledger_server).
-behaviour(gen_server).
-export([start/1, init/1, handle_call/3, handle_cast/2, handle_info/2, code_change/3]).

-record(state, {accounts, count = 0, last = 0, lost = 0, late = 0, worst = 0}).

start(Records) -> gen_server:start(?MODULE, Records, [{spawn_opt, [{message_queue_data, off_heap}]}]).

-ifdef(NEW).
account(Number) -> {Number, 0, 0}.
moved({Balance, Moves, _}, Number) -> {Balance, Moves + 1, Number}.
-else.
account(Number) -> {Number, 0}.
moved({Balance, Moves}, _) -> {Balance, Moves + 1}.
-endif.

init(Records) -> {ok, #state{accounts = maps:from_list([{N, account(N)} || N <- lists:seq(0, Records - 1)])}}.

handle_info({message, Number, Due}, State) ->
    #state{accounts = Accounts, count = Count, last = Last, lost = Lost, late = Late, worst = Worst} = State,
    Delay = erlang:monotonic_time(nanosecond) - Due,
    Touched = case maps:size(Accounts) of
        0 -> Accounts;
        Size -> maps:update_with(Number rem Size, fun(Account) -> moved(Account, Number) end, Accounts)
    end,
    New = State#state{accounts = Touched, count = Count + 1, worst = max(Worst, Delay)},
    {noreply, case Number > Last of
        true -> New#state{last = Number, lost = Lost + Number - Last - 1};
        false -> New#state{late = Late + 1}
    end}.

handle_call(worst, _From, State) -> {reply, State#state.worst, State#state{worst = 0}};
handle_call(counts, _From, State) ->
    {reply, {State#state.count, State#state.lost, State#state.late}, State}.

handle_cast(_, State) -> {noreply, State}.

%% Extra tells whether the accounts change their form: to the new one, back, or not at all.
code_change(_, State, keep) -> {ok, State};
code_change(_, State, widen) ->
    {ok, State#state{accounts = maps:map(fun(_, {Balance, Moves}) -> {Balance, Moves, 0} end, State#state.accounts)}};
code_change(_, State, narrow) ->
    {ok, State#state{accounts = maps:map(fun(_, {Balance, Moves, _}) -> {Balance, Moves} end, State#state.accounts)}}.
