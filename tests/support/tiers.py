"""Tests that are not quick, by what they took on two cores; a test that is not named here is quick.

The summary of ``pytest -m quick`` names tests that have grown too slow for it.
"""

from __future__ import annotations

from collections.abc import Iterable

LIMIT = 5.0  # seconds that a quick test may take

# By folder of `tests`: tests of which a single case takes ten seconds or more.
SLOW = {
    "cli": {
        "test_from_labelme_to_a_model",
        "test_killed_and_gone_on_with",
        "test_a_step_of_a_pipeline",
    },
    "demo": {
        "test_the_default_page_is_small_and_quick",
    },
    "docs": {
        "test_a_notebook_runs",
        "test_the_blocks_of_a_page_run",
        "test_the_pictures_are_what_the_models_see",
    },
    "export": {
        "test_every_format_equals_the_model_at_every_size",
        "test_a_photograph_takes_little_memory",
        "test_float_file_gives_the_mask_of_segment",
    },
    "models": {
        "test_equals_the_authors_procedure_at_its_published_input",
        "test_fit_learns",
        "test_the_example_learns_and_writes_its_files",
        "test_the_score_is_what_the_file_reaches",
        "test_twenty_images_are_enough_for_two_classes",
    },
    "sequence": {
        "test_a_run_goes_on_and_learns",
        "test_a_thousand_words",
    },
    "training": {
        "test_a_saved_recipe_makes_the_same_weights_to_the_bit",
        "test_a_killed_chief_and_its_worker_go_on_from_the_checkpoint",
        "test_a_launcher_starts_the_killed_workers_again",
        "test_all_strategies_agree",
        "test_each_part_is_held_out_once",
        "test_replicas_leave_no_graph_and_have_the_right_gradients",
        "test_interrupted_and_killed_runs_end_bit_identical",
        "test_the_command_trains_compares_and_repeats_nothing",
        "test_what_is_alike_in_a_comparison",
    },
}

# Tests whose cases together take more than two or three seconds.
MODERATE = {
    "cli": {
        "test_killed_at_random",
        "test_trains_without_each_drive_and_scores_both_sides",
        "test_prune_writes_files_and_a_table",
    },
    "compression": {
        "test_a_student_follows_its_teacher",
        "test_every_model_of_the_registry_is_equal_on_both_sides",
        "test_nothing_is_left_in_float",
        "test_pruning_gives_a_plain_model_with_the_zeros",
    },
    "datasets": {
        "test_a_process_ends_while_batches_are_read_ahead",
    },
    "evaluation": {
        "test_pictures",
        "test_two_replicas_sum_to_the_whole",
    },
    "export": {
        "test_architectures_at_any_size",
        "test_converters_take_a_keras_model",
        "test_converters_take_a_saved_model",
        "test_command_against_keras",
        "test_encoded_images_run_in_tensorflow_alone",
        "test_export_without_rewrites",
        "test_exports",
        "test_int8_file_gives_the_mask_that_it_gives_here",
        "test_mask_is_the_arg_max",
        "test_mask_of_the_photograph_is_that_of_segment",
        "test_networks",
        "test_published_deeplab_keeps_its_masks_in_int8",
        "test_two_processes_write_the_same_bytes_and_no_path",
    },
    "fuzz": {
        "test_corpus_and_damaged_copies",
    },
    "models": {
        "test_there_and_back",
        "test_the_card",
        "test_a_second_push_and_a_branch",
        "test_refusals_of_push",
        "test_another_content_for_the_same_commit",
        "test_a_branch_that_moves_and_a_commit_that_does_not",
        "test_what_keras_saves_to_a_hub",
        "test_commands",
        "test_a_sibling_gives_its_backbone",
        "test_copies_have_it",
        "test_imagenet_file_fills_the_front_end",
        "test_no_graph_outlives_its_model",
        "test_own_files_keep_what_they_have",
        "test_stride_and_rates_come_with_the_file",
        "test_the_same_numbers_under_other_globals",
        "test_weights_that_are_not_finite",
        "test_weights_of_a_backbone_name_its_layers_in_every_architecture",
        "test_a_new_process_reads_a_saved_model",
        "test_a_published_kind_of_model_has_no_seams",
        "test_the_mask_is_that_of_the_whole_image",
        "test_windows_equal_one_pass_where_the_receptive_field_fits",
        "test_a_photograph_without_a_network",
        "test_a_users_checkpoint",
        "test_a_users_checkpoint_with_its_own_classes",
        "test_a_users_file_of_a_package",
        "test_a_users_own_files",
        "test_a_users_own_files_with_several_classifiers",
        "test_aspp_rates_follow_the_output_stride",
        "test_dead_taps_of_separable_branches_and_other_models",
        "test_deeplabv3_equals_torchvision",
        "test_dense_features_subsampled_equal_the_nominal_ones",
        "test_early_files_and_other_tensors",
        "test_equals_segmentation_models_pytorch",
        "test_equals_the_package",
        "test_equals_the_authors_network",
        "test_equals_torchvision",
        "test_every_convention_gives_the_size_of_the_image",
        "test_every_gradient_is_there_and_finite",
        "test_facts_are_what_the_built_model_shows",
        "test_gradients_equal_the_composite_ones",
        "test_half_precision_policies",
        "test_how_it_resizes_can_be_said",
        "test_keras_file_round_trip",
        "test_logits_have_the_size_of_the_image",
        "test_packed_weights",
        "test_parameters_are_what_the_registry_says",
        "test_pspnet_equals_an_independent_statement",
        "test_rates_of_the_last_stages",
        "test_receptive_field",
        "test_receptive_field_is_the_derived_one",
        "test_static_size_and_class_count",
        "test_tf_deeplab_at_any_size_is_the_image_extended_with_the_mean",
        "test_the_head_of_a_mobile_backbone_is_thin",
        "test_the_papers_network",
        "test_the_same_classes_keep_the_classifier",
        "test_traced_graph_holds_no_space_to_batch",
    },
    "sequence": {
        "test_a_file_that_differs_is_not_kept",
        "test_any_word_ends",
        "test_equal_models_make_equal_files",
        "test_greedy_takes_the_likeliest_symbol_and_ends_at_the_bound",
        "test_held_out_words",
        "test_own_files",
        "test_the_command_exports",
        "test_the_report",
        "test_a_file_sounds_as_its_model",
        "test_a_training_that_was_put_down_goes_on_the_same",
        "test_bits_are_those_of_each_recording",
        "test_command_line_in_integers",
        "test_it_draws_what_naive_generation_draws",
        "test_it_foresees_recordings_that_it_has_not_heard",
        "test_it_learns",
        "test_it_speaks_and_ends",
        "test_the_same_model_gives_the_same_bytes_in_integers",
        "test_what_quantizes_nothing_is_not_kept",
        "test_what_ruins_the_sound_is_not_kept",
    },
    "training": {
        "test_it_trains_as_keras_does",
        "test_a_run_goes_on_from_its_copy",
        "test_equals_the_folder_and_goes_on_exactly",
        "test_the_command_prints_and_does_not_train",
        "test_the_run_has_it",
        "test_an_interrupted_comparison_goes_on",
        "test_bad_arguments_are_one_line_and_leave_nothing",
        "test_ctrl_c_is_told",
        "test_fit_lowers_it",
        "test_two_replicas_have_the_loss_of_the_batch",
    },
    "weights": {
        "test_a_users_network_by_what_is_in_its_file",
        "test_large_file_takes_seconds_and_little_memory",
        "test_models_and_variables_load_under_any_name",
    },
}


# Fixtures that take seconds, for whichever test comes first.
FIXTURES = {
    "compression": {"clustered", "pruned", "quantized", "written"},
    "demo": {"drive", "segmented"},
    "docs": {"built"},
    "training": {"costs"},
}


def tier_of(folder: str, function: str, fixtures: Iterable[str]) -> str:
    """``"quick"``, ``"moderate"`` or ``"slow"``."""
    if function in SLOW.get(folder, ()):
        return "slow"
    moderate = function in MODERATE.get(folder, ()) or not FIXTURES.get(folder, set()).isdisjoint(fixtures)
    return "moderate" if moderate else "quick"
