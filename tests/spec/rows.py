"""What scripts written for older releases rely on, row by row, and the tests that prove it.

The sections are those of the list of facts about the old API: 1.1 the top level, 1.2 Variable, 1.3 content, 1.4
autodiff, 1.5 Modules, 1.6 models, 1.7 optimizers, 1.8 the Trainer, 1.9 data, 1.10 files, 1.11 logging, 1.12 Tellurio.
Section 0, what is different on purpose, is in `test_section_0`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["ROWS", "Row"]


class Row(NamedTuple):
    """One fact, and where it is tested: ``file::test``; the file is under ``tests/``, ``.py`` is left out."""

    section: str
    fact: str
    tests: tuple[str, ...]


_TABLE = """
# 1.1
names of the top level
    spec/test_1_01_top_level::test_names_at_the_top
    test_exports::test_the_public_names_are_these
submodules reached as side effects
    spec/test_1_01_top_level::test_submodules_are_reached_after_import_afnio_alone
is_variable is not exported
    spec/test_1_01_top_level::test_names_at_the_top
_validate_typed_sequence
    spec/test_1_01_top_level::test_the_validators_have_these_signatures
    cognitive/test_validators::test_another_sequence_is_refused_by_name_and_place
_validate_multi_turn_messages
    cognitive/test_validators::test_what_is_no_conversation_is_refused_with_the_place
is_multi_turn_messages
    spec/test_1_01_top_level::test_is_multi_turn_messages_never_raises_and_takes_an_empty_list
_validate_function, _is_valid_function
    spec/test_1_01_top_level::test_functions_that_may_be_kept

# 1.2
signature
    spec/test_1_02_variable::test_its_signatures
data domain
    spec/test_1_02_variable::test_data_is_held_like_this
    test_variable::test_other_data_is_refused
attributes
    spec/test_1_02_variable::test_what_scripts_read_of_a_new_variable
    test_variable::test_output_nr_is_checked
shape
    test_variable::test_shapes
is_leaf
    spec/test_1_02_variable::test_is_leaf_follows_requires_grad_underscore_and_not_the_plain_attribute
backward of a leaf
    spec/test_1_02_variable::test_backward_of_a_leaf_is_a_runtime_error
grad, append_grad
    spec/test_1_02_variable::test_gradients_are_appended_to_the_same_list_and_checked
retain_grad, deepcopy of results
    spec/test_1_02_variable::test_a_result_keeps_gradients_only_if_asked
detach
    test_variable::test_leaves_and_results
copy_
    spec/test_1_02_variable::test_copy_takes_data_role_and_requires_grad_of_the_same_shape
to, is_floating_point
    test_variable::test_dtype_casts_keep_nones_roles_and_gradients_mode
    test_variable::test_is_floating_point
+ and +=
    spec/test_1_02_variable::test_adding_in_place_keeps_the_object
    autodiff/test_ops::test_iadd_keeps_the_object_and_joins_the_graph
repr and str
    spec/test_1_02_variable::test_how_it_shows_itself
no server needed
    spec/test_1_02_variable::test_a_variable_needs_no_server_and_no_run
free functions
    spec/test_1_02_variable::test_free_functions

# 1.3
content blocks
    spec/test_1_03_content::test_blocks_have_these_names
    test_content::test_a_bad_block_says_what_is_wrong
masks
    spec/test_1_03_content::test_a_mask_counts_and_joins
    spec/test_1_03_content::test_stop_reasons_compare_to_masks
OpResult
    spec/test_1_03_content::test_an_op_result_checks_its_lengths

# 1.4
names and signatures
    spec/test_1_04_autodiff::test_its_names_and_signatures
grad mode
    spec/test_1_04_autodiff::test_set_grad_enabled_called_as_a_function_stays
    autodiff/test_grad_mode::test_as_decorators
grad mode of a thread
    autodiff/test_grad_mode::test_a_new_thread_starts_enabled_and_keeps_to_itself
Function
    spec/test_1_04_autodiff::test_a_function_is_not_instantiated_and_must_be_filled_in
evaluator
    spec/test_1_04_autodiff::test_an_evaluator_is_a_function_class
Node, GradientEdge
    spec/test_1_04_autodiff::test_nodes_and_edges
Add
    autodiff/test_ops::test_add_joins_strings
    autodiff/test_ops::test_add_names_both_roles
    autodiff/test_ops::test_add_refuses
    autodiff/test_ops::test_add_of_lists_is_element_by_element
Sum
    spec/test_1_04_autodiff::test_sum_wraps_texts_as_items_and_adds_numbers
    autodiff/test_ops::test_sum_of_lists_is_position_by_position
    autodiff/test_ops::test_sum_refuses
Split
    spec/test_1_04_autodiff::test_split_takes_variables_and_fills_up
    autodiff/test_ops::test_split_names_the_parts
    autodiff/test_ops::test_split_refuses
ChatCompletion
    autodiff/test_chat_completion::*
DeterministicEvaluator
    spec/test_1_04_autodiff::test_eval_fn_is_called_for_each_sample_with_raw_data
    autodiff/test_evaluators::*
ExactMatchEvaluator
    spec/test_1_04_autodiff::test_roles_are_made_of_the_roles_of_the_inputs
LMJudgeEvaluator
    autodiff/test_evaluators::*
errors
    spec/test_1_04_autodiff::test_wrong_arguments_are_these_errors

# 1.5
names
    spec/test_1_05_cognitive::test_its_names
functions and ops
    spec/test_1_05_cognitive::test_functions_have_these_signatures
    cognitive/test_ops::test_module_and_function_take_the_same_arguments
latest arguments as state
    spec/test_1_05_cognitive::test_op_modules_keep_their_arguments_under_these_names
    cognitive/test_ops::test_a_module_keeps_the_arguments_of_its_latest_call
Parameter
    spec/test_1_05_cognitive::test_a_parameter_is_a_variable_that_is_learned
a new Module
    spec/test_1_05_cognitive::test_a_new_module_has_these_attributes
signatures of Module
    spec/test_1_05_cognitive::test_module_has_these_signatures
register
    cognitive/test_attributes::test_register_takes_the_value_or_none
    cognitive/test_attributes::test_register_before_init_says_so
    cognitive/test_attributes::test_register_checks_the_name
    cognitive/test_attributes::test_register_checks_the_value
    cognitive/test_attributes::test_a_parameter_must_be_a_leaf
attributes
    cognitive/test_attributes::test_a_value_decides_what_an_attribute_is
    spec/test_1_05_cognitive::test_what_was_a_trap_is_an_ordinary_attribute
iterators
    cognitive/test_tree::test_every_kind_has_its_iterators
    cognitive/test_tree::test_a_prefix_comes_before_each_name
    test_against_torch::test_each_case_ends_as_in_torch
train, eval
    cognitive/test_tree::test_train_and_eval_reach_every_module
    cognitive/test_tree::test_train_takes_a_bool
requires_grad_, empty_grad
    spec/test_1_05_cognitive::test_chats_and_parameters_follow_requires_grad_and_empty_grad
state_dict
    spec/test_1_05_cognitive::test_a_state_has_this_shape
    cognitive/test_state::test_extra_state_is_saved_and_loaded
load_state_dict
    spec/test_1_05_cognitive::test_loading_says_all_that_is_wrong_at_once_in_these_words
    cognitive/test_state::test_values_are_copied_into_the_same_objects
    cognitive/test_state::test_assign_puts_the_given_variables_in
model_clients
    cognitive/test_state::test_a_given_client_takes_the_place_and_the_usage
    cognitive/test_state::test_a_client_of_another_class_is_refused
steps
    cognitive/test_module::test_a_step_that_is_not_defined_says_so
    trainer/test_manual::test_nothing_returned_by_an_automatic_step
repr
    cognitive/test_tree::test_repr_draws_the_tree_as_torch_does

# 1.6
signatures
    spec/test_1_06_models::test_their_signatures
kinds of models
    spec/test_1_06_models::test_each_kind_of_model_has_these_methods
    test_promises::test_a_chat_model_says_that_it_neither_completes_nor_embeds
usage
    spec/test_1_06_models::test_a_model_tells_its_usage_and_forgets_it
    models/test_openai_chat::test_usage_with_holes
keys
    spec/test_1_06_models::test_a_client_without_a_key_is_an_error
n > 1
    spec/test_1_06_models::test_more_than_one_answer_is_refused
prices
    models/test_prices::test_listed_prices_are_those_of_the_table
    models/test_prices::test_cached_tokens_cost_as_others_when_no_price_is_given
the backward model
    spec/test_1_06_models::test_a_backward_model_that_cannot_be
    spec/test_1_06_models::test_the_backward_model_is_made_again_only_when_something_changed

# 1.7
signatures
    spec/test_1_07_optim::test_their_signatures
groups and state
    spec/test_1_07_optim::test_a_group_has_these_keys_and_the_state_these
    optim/test_tgd::test_momentum_remembers_values_with_their_feedback_and_shows_them
load_state_dict
    spec/test_1_07_optim::test_a_state_of_other_groups_is_a_value_error
    optim/test_optimizer::test_a_group_without_a_client_asks_for_one
clear_grad, step
    spec/test_1_07_optim::test_clear_grad_and_step_need_an_engine_and_keep_the_list
add_param_group
    spec/test_1_07_optim::test_groups_are_added_to_the_same_list
default messages
    spec/test_1_07_optim::test_the_default_messages_are_a_system_and_a_user_message_with_roles
functional
    optim/test_tgd::test_the_functional_form_changes_parameters_and_buffers_in_place

# 1.8
signatures
    spec/test_1_08_trainer::test_its_signatures
wrong arguments
    spec/test_1_08_trainer::test_wrong_arguments_of_fit
order in fit
    trainer/test_fit::test_the_order_of_events
names of metrics
    trainer/test_fit::test_the_names_of_metrics_and_what_the_tracker_is_told
manual optimization
    trainer/test_fit::test_manual_optimization_only_calls_the_step
llm_clients
    trainer/test_fit::test_llm_clients_are_counted_and_cleared
validate, test
    trainer/test_fit::test_validate_and_test_need_no_engine_and_change_nothing
checkpoints
    trainer/test_resume::test_what_a_checkpoint_holds
display
    trainer/test_display::test_texts
    trainer/test_display::test_losses_first_then_the_rest_sorted
batch sizes
    trainer/test_batches::test_sizes
    trainer/test_batches::test_an_empty_batch

# 1.9
signatures
    spec/test_1_09_utils::test_their_signatures
wrong arguments
    spec/test_1_09_utils::test_wrong_arguments_are_these_errors
collate
    spec/test_1_09_utils::test_a_batch_of_inputs_and_answers_is_a_variable_and_a_tuple_of_variables
    test_data::test_dicts_become_a_dict_of_lists_without_merging
FacilitySupport
    test_datasets::test_the_splits_are_66_66_68_and_share_nothing
    test_datasets::test_a_sample_is_made_of_variables_with_roles
    test_datasets::test_the_real_data_has_the_known_counts
TREC
    test_datasets::test_trec_samples_are_plain_text_and_once_each
    test_datasets::test_trec_validation_has_its_share_of_each_label
SentimentAnalyzer
    test_agents::test_it_asks_for_one_of_three_words_about_each_message

# 1.10
save and load
    spec/test_1_10_files::test_they_are_called_like_this
    spec/test_1_10_files::test_what_is_no_file_is_an_attribute_error
    spec/test_1_10_files::test_a_zip_without_a_checkpoint_in_it_says_so
old files
    test_hostile_files::test_old_checkpoints_come_back_and_new_ones_of_them_too
    test_serialization::test_old_checkpoints_load

# 1.11
signatures
    spec/test_1_11_logging::test_their_signatures
levels and format
    spec/test_1_11_logging::test_the_root_logger_is_left_alone_and_levels_may_be_in_capitals
    test_logging_config::test_debug_adds_time_and_name
    test_logging_config::test_a_level_for_a_while

# 1.12
names and signatures
    spec/test_1_12_tellurio::test_their_signatures
    spec/test_1_12_tellurio::test_their_names
login
    tellurio/client/test_login::test_the_key_is_the_arguments_then_the_environments_then_the_stored_one
    tellurio/client/test_login::test_a_wrong_key_is_neither_stored_nor_shown
init, log, finish
    tellurio/scripts/test_seed_runs::test_the_examples_print_what_the_page_says
    tellurio/client/test_states::test_a_second_init_ends_the_first_as_failed_and_says_so
active run
    spec/test_1_12_tellurio::test_without_a_run_it_is_a_value_error
states of a Run
    tellurio/client/test_states::test_an_end_of_the_process_is_told_as_it_was
projects
    tellurio/client/test_project::test_what_is_not_there_is_none_or_an_error
    tellurio/client/test_project::test_the_four_visibilities
suppress_variable_notifications
    test_exports::test_the_names_of_tellurio_are_these
consent
    tellurio/client/test_consent::test_the_environment_allows_it
    tellurio/client/test_consent::test_any_other_word_is_an_error
    tellurio/client/test_consent::test_without_a_terminal_nobody_is_asked_and_the_error_names_all_ways
command line
    tellurio/client/test_cli::test_login_without_a_key_says_what_to_type
environment
    tellurio/client/test_login::test_the_address_is_put_together_from_base_and_port
"""


def _rows(table: str) -> Iterator[Row]:
    section, fact, tests = "", "", []  # type: tuple[str, str, list[str]]
    for line in [*table.splitlines(), "# end"]:
        if line.startswith("    "):
            tests.append(line.strip())
        elif line:
            if fact:
                yield Row(section, fact, tuple(tests))
            section, fact = (line[2:], "") if line.startswith("# ") else (section, line)
            tests = []


ROWS = list(_rows(_TABLE))
